//! Who may do what, how much of it, and how refusal is said.
//!
//! Both kinds of doors (`receive` inwards, `serve` outwards) ask this room the same three questions:
//! who is calling ([`Access::admit`]), is there memory left for it ([`Budget`]), and which status does
//! an error have on this transport ([`Code`]). It knows no protocol, no storage and no clock.
//! Spec: design sections 3 and 8; `/api/v1` error codes.

pub mod admit;
pub mod budget;
pub mod code;
pub mod limits;
pub mod tenant;

pub use admit::{Access, Caller, Config, ConfigError, Purpose, Token};
pub use budget::{Budget, Permit};
pub use code::{Code, Error};
pub use limits::Limits;
