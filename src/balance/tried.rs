use crate::{Call, EndpointId};

/// The endpoints that failed this call, in [`Call::extensions`](crate::call::Parts::extensions).
///
/// [`Balance`](super::Balance) picks another while there is one. It holds at most as many as there are attempts.
///
/// ```
/// use tower_mcp_gateway::{Call, Method, balance::Tried, json::Params};
///
/// let mut call = Call::new(Method::TOOLS_CALL, Params::empty());
/// Tried::remember(&mut call, "search-1".into());
/// assert_eq!(call.extensions.get::<Tried>().unwrap().endpoints(), ["search-1".into()]);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Tried(Vec<EndpointId>);

impl Tried {
    /// Adds `endpoint` to those that failed `call`.
    pub fn remember(call: &mut Call, endpoint: EndpointId) {
        let tried: &mut Tried = call.extensions.get_or_insert_default();
        if !tried.0.contains(&endpoint) {
            tried.0.push(endpoint);
        }
    }

    /// Takes all of them back, where what failed `call` may have passed.
    pub fn forget(call: &mut Call) {
        call.extensions.remove::<Self>();
    }

    /// The endpoints that have failed `call`, in the order they failed.
    pub fn of(call: &Call) -> &[EndpointId] {
        call.extensions.get::<Self>().map_or(&[], Self::endpoints)
    }

    /// The endpoints, in the order they failed.
    pub fn endpoints(&self) -> &[EndpointId] {
        &self.0
    }
}
