use http::Uri;
use std::net::Ipv4Addr;

/// Whether a secret may be sent there: nobody on the way can read it, or there is no way because it is this machine.
pub(crate) fn is_safe(uri: &Uri) -> bool {
    let Some(host) = uri.host() else { return false };
    match uri.scheme_str() {
        Some("https") => true,
        Some("http") => {
            matches!(host, "localhost" | "[::1]") || host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
        }
        _ => false,
    }
}
