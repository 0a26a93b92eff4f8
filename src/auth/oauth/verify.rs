use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse};
use ring::signature::{self, RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm};

/// How a token may be signed: with a key of which the gateway knows the public half only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[allow(missing_docs, reason = "each is the name that RFC 7518 and RFC 8037 give it")]
pub enum Algorithm {
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
    ES256,
    ES384,
    EdDSA,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 9] = {
        use Algorithm::*;
        [RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA]
    };

    /// Its name in a token's header.
    pub const fn as_str(self) -> &'static str {
        use Algorithm::*;
        match self {
            RS256 => "RS256",
            RS384 => "RS384",
            RS512 => "RS512",
            PS256 => "PS256",
            PS384 => "PS384",
            PS512 => "PS512",
            ES256 => "ES256",
            ES384 => "ES384",
            EdDSA => "EdDSA",
        }
    }

    /// The one a token was signed with, if it is one of these.
    pub(super) fn of(alg: jsonwebtoken::Algorithm) -> Option<Self> {
        let name = format!("{alg:?}");
        Self::ALL.into_iter().find(|known| known.as_str() == name)
    }

    fn rsa(self) -> Option<&'static RsaParameters> {
        use Algorithm::*;
        Some(match self {
            RS256 => &signature::RSA_PKCS1_2048_8192_SHA256,
            RS384 => &signature::RSA_PKCS1_2048_8192_SHA384,
            RS512 => &signature::RSA_PKCS1_2048_8192_SHA512,
            PS256 => &signature::RSA_PSS_2048_8192_SHA256,
            PS384 => &signature::RSA_PSS_2048_8192_SHA384,
            PS512 => &signature::RSA_PSS_2048_8192_SHA512,
            ES256 | ES384 | EdDSA => return None,
        })
    }
}

/// A public key of an issuer.
#[derive(Clone, Debug)]
pub(super) struct Key {
    id: Option<String>,
    /// The only algorithm it is for, where the issuer says so.
    only: Option<String>,
    material: Material,
}

#[derive(Clone, Debug)]
enum Material {
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    /// For ECDSA on P-256 and P-384, and for Ed25519.
    Point(Algorithm, Vec<u8>),
}

impl Key {
    /// `None` for a key that signs nothing here: a secret, one for encryption, one of an unknown kind.
    pub(super) fn of(jwk: &Jwk) -> Option<Self> {
        if matches!(&jwk.common.public_key_use, Some(other) if *other != PublicKeyUse::Signature) {
            return None;
        }
        let bytes = |text: &str| URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok();
        let material = match &jwk.algorithm {
            AlgorithmParameters::RSA(rsa) => Material::Rsa { n: bytes(&rsa.n)?, e: bytes(&rsa.e)? },
            AlgorithmParameters::EllipticCurve(point) => {
                let (algorithm, length) = match point.curve {
                    EllipticCurve::P256 => (Algorithm::ES256, 32),
                    EllipticCurve::P384 => (Algorithm::ES384, 48),
                    _ => return None,
                };
                let (x, y) = (bytes(&point.x)?, bytes(&point.y)?);
                let whole = x.len() == length && y.len() == length;
                Material::Point(algorithm, whole.then(|| [&[4], &x[..], &y].concat())?)
            }
            AlgorithmParameters::OctetKeyPair(pair) if pair.curve == EllipticCurve::Ed25519 => {
                Material::Point(Algorithm::EdDSA, bytes(&pair.x)?)
            }
            _ => return None,
        };
        let only = jwk.common.key_algorithm.map(|algorithm| algorithm.to_string());
        Some(Self { id: jwk.common.key_id.clone(), only, material })
    }

    /// Whether a token with this key id and algorithm can be meant.
    pub(super) fn suits(&self, id: Option<&str>, algorithm: Algorithm) -> bool {
        let named = id.is_none_or(|id| self.id.as_deref() == Some(id));
        let allowed = self.only.as_deref().is_none_or(|only| only == algorithm.as_str());
        let fits = match &self.material {
            Material::Rsa { .. } => algorithm.rsa().is_some(),
            Material::Point(of, _) => *of == algorithm,
        };
        named && allowed && fits
    }

    /// Whether it has signed `message`.
    pub(super) fn has_signed(&self, algorithm: Algorithm, message: &[u8], signed: &[u8]) -> bool {
        let verified = match &self.material {
            Material::Rsa { n, e } => match algorithm.rsa() {
                Some(parameters) => RsaPublicKeyComponents { n, e }.verify(parameters, message, signed),
                None => return false,
            },
            Material::Point(of, point) => {
                let by: &'static dyn VerificationAlgorithm = match of {
                    Algorithm::ES256 => &signature::ECDSA_P256_SHA256_FIXED,
                    Algorithm::ES384 => &signature::ECDSA_P384_SHA384_FIXED,
                    _ => &signature::ED25519,
                };
                UnparsedPublicKey::new(by, point).verify(message, signed)
            }
        };
        verified.is_ok()
    }
}
