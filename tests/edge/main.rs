//! The edge, driven by HTTP requests without sockets; behind it stands a mock.

mod attacks;
mod checks;
#[cfg(feature = "legacy")]
mod frames;
mod hosts;
mod modern;
mod parts;
#[cfg_attr(not(feature = "legacy"), allow(dead_code, reason = "each era uses its part"))]
mod support;
mod uploads;
#[cfg(feature = "legacy")]
mod wire;

#[cfg(feature = "legacy")]
mod legacy;
