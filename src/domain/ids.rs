//! The names by which things are known, each of its own type so that they cannot be mixed up.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why a text cannot be an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{what} must have 1 to {most} characters and no control characters or spaces, \
     and be neither `.` nor `..`"
)]
pub struct NotAnId {
    what: &'static str,
    most: usize,
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// PortOne documents 32 and 40 characters, its own samples are longer: we take any
            /// length that no one could mistake for an attack.
            pub const MOST: usize = 255;

            pub fn new(text: impl Into<String>) -> Result<Self, NotAnId> {
                let text = text.into();
                // Dots alone would be a step in a path, not a name in it.
                let fits = !matches!(text.as_str(), "" | "." | "..")
                    && text.len() <= Self::MOST
                    && !text.chars().any(|c| c.is_control() || c.is_whitespace());
                if fits {
                    Ok(Self(text))
                } else {
                    Err(NotAnId { what: $what, most: Self::MOST })
                }
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = NotAnId;
            fn try_from(text: String) -> Result<Self, NotAnId> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }
    };
}

id!(
    /// PortOne's transaction id (결제고유번호), one per attempt to pay.
    ImpUid, "imp_uid"
);
id!(
    /// The merchant's order id (주문번호).
    MerchantUid, "merchant_uid"
);
id!(
    /// A partner's id (파트너사), chosen by the merchant.
    PartnerId, "partner"
);
id!(
    /// The shop's own id of a customer: whose an order is.
    BuyerId, "buyer"
);
id!(
    /// Our own id of one cancellation: `c` and a ULID. It travels to PortOne inside the reason.
    CancellationId, "cancellation id"
);
