use super::store::mint;
use crate::{
    Call, Method, Revision,
    error::Problem,
    json::{
        Json, Params,
        object::{Edit, each_member},
    },
    meta,
};

/// The most questions in one result; a form asks many things in one.
const MAX_REQUESTS: usize = 64;

/// What an `input_required` result asks of the client.
#[derive(Debug)]
pub(super) struct Inquiry {
    pub(super) requests: Vec<(String, Kind, Params)>,
    pub(super) state: Option<Json>,
}

/// The three things a client can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Elicit,
    Sample,
    Roots,
}

impl Kind {
    pub(super) fn method(self) -> Method {
        match self {
            Kind::Elicit => Method::ELICIT,
            Kind::Sample => Method::SAMPLE,
            Kind::Roots => Method::ROOTS_LIST,
        }
    }
}

impl Inquiry {
    /// Reads a result for the client of `call`.
    ///
    /// # Errors
    ///
    /// −32021 where the client has not declared what it is asked for, 502 where the result asks for nothing a client
    /// can give.
    pub(super) fn read(result: &Json, call: &Call) -> Result<Self, Problem> {
        let state = result.member("requestState");
        let mut requests = Vec::new();
        let mut asked = Ok(());
        if let Some(object) = result.member("inputRequests") {
            let read = each_member(object.as_bytes(), |key, value| {
                let value = Json::trusted(object.as_bytes().slice_ref(value.get().as_bytes()));
                if asked.is_ok() && requests.len() < MAX_REQUESTS {
                    asked = request(&value, call).map(|(kind, params)| requests.push((key.to_owned(), kind, params)));
                } else if asked.is_ok() {
                    asked = Err(unusable("the server asks for too much at once"));
                }
            });
            read.map_err(|_| unusable("the server's requests for input are no object"))?;
            asked?;
        }
        match (requests.is_empty(), &state) {
            (true, None) => Err(unusable("the server asks for input without saying which")),
            _ => Ok(Self { requests, state }),
        }
    }
}

fn request(asked: &Json, call: &Call) -> Result<(Kind, Params), Problem> {
    let method = asked.member("method").and_then(|method| method.read::<String>().ok()).unwrap_or_default();
    let params = asked.member("params").map_or(Ok(Params::empty()), Params::parse);
    let params = params.map_err(|_| unusable("the server's request for input has no parameters"))?;
    let declared = call.params.meta_member(meta::CLIENT_CAPABILITIES);
    let has = |path: &[&str]| {
        path.iter().try_fold(declared.clone()?, |at, key| at.member(key)).filter(|it| it.as_str() != "null")
    };
    match &method[..] {
        "roots/list" => has(&["roots"]).map(|_| (Kind::Roots, params)).ok_or_else(|| missing(&["roots"])),
        "sampling/createMessage" => {
            let tools = params.member("tools").is_some() || params.member("toolChoice").is_some();
            let needed: &[&str] = if tools { &["sampling", "tools"] } else { &["sampling"] };
            has(needed).map(|_| (Kind::Sample, params)).ok_or_else(|| missing(needed))
        }
        "elicitation/create" => {
            let mode = params.member("mode").and_then(|mode| mode.read::<String>().ok());
            let needed = ["elicitation", mode.as_deref().unwrap_or("form")];
            let revision = call.session.as_ref().map(|session| session.revision());
            let known = needed[1] != "url" || revision >= Some(Revision::V2025_11_25);
            if has(&needed).is_none() || !known {
                return Err(missing(&needed));
            }
            let params = if needed[1] == "url" { identified(params)? } else { params };
            Ok((Kind::Elicit, params))
        }
        _ => Err(unusable("the server asks for something no client can give")),
    }
}

/// Elicitations of a page have an id of their own before 2026-07-28.
fn identified(params: Params) -> Result<Params, Problem> {
    if params.member("elicitationId").is_some() {
        return Ok(params);
    }
    let id = format!("\"{}\"", mint()?);
    Ok(params.edit_shallow(&[Edit::Set("elicitationId", id.as_bytes())]))
}

/// −32021 with the capability that is missing, in the words of 2026-07-28.
fn missing(path: &[&str]) -> Problem {
    let required = path.iter().rev().fold(serde_json::json!({}), |inner, key| serde_json::json!({*key: inner}));
    let message = format!("the server needs a client with the capability {}", path.join("."));
    Problem::rpc(400, -32021, message).with_data(&serde_json::json!({"requiredCapabilities": required}))
}

fn unusable(message: &'static str) -> Problem {
    Problem::new(502, "protocol", message)
}
