//! What a buyer is to pay: an amount, made of lines, each owed to one partner.

use serde::{Deserialize, Serialize};

use super::{
    ids::{BuyerId, MerchantUid, PartnerId},
    money::{OutOfRange, Won},
};

/// An order whose figures tie: the lines add up to the amount, nothing is negative.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Order {
    pub merchant_uid: MerchantUid,
    pub name: String,
    /// Whose it is, where the shop says so: they may look at its payments.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub buyer: Option<BuyerId>,
    pub amount: Won,
    /// Part of `amount` that bears no VAT (면세).
    pub tax_free: Won,
    pub lines: Vec<OrderLine>,
}

/// One position of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct OrderLine {
    pub partner: PartnerId,
    pub name: String,
    pub quantity: i64,
    pub unit_price: Won,
    /// Taken off the whole line, not off each piece.
    #[serde(default)]
    pub discount: Won,
}

/// Why an order cannot be registered. Each says which figure and what was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WrongOrder {
    #[error("the order has no lines: at least one is needed")]
    NoLines,
    #[error("the order has {0} lines: at most {max} are taken", max = Order::MOST_LINES)]
    TooManyLines(usize),
    #[error("the order's name must have 1 to {max} characters", max = Order::LONGEST_NAME)]
    Name,
    #[error("line {line}: the name must have 1 to {max} characters", max = Order::LONGEST_NAME)]
    LineName { line: usize },
    #[error("line {line}: the quantity is {quantity}, at least 1 is needed")]
    Quantity { line: usize, quantity: i64 },
    #[error("line {line}: the unit price is {price} won, it cannot be negative")]
    UnitPrice { line: usize, price: Won },
    #[error("line {line}: a discount of {discount} won on {gross} won; expected 0 to {gross}")]
    Discount {
        line: usize,
        discount: Won,
        gross: Won,
    },
    #[error("the lines come to {lines} won, but the amount is {amount} won")]
    Sum { lines: Won, amount: Won },
    #[error("the amount is {0} won; expected 1 to {max}", max = Won::LARGEST)]
    Amount(Won),
    #[error("the tax-free part is {tax_free} won; expected 0 to {amount}")]
    TaxFree { tax_free: Won, amount: Won },
    #[error(transparent)]
    OutOfRange(#[from] OutOfRange),
}

impl OrderLine {
    /// `unit price × quantity`, before the discount.
    pub fn gross(&self) -> Result<Won, OutOfRange> {
        self.unit_price.times(self.quantity)
    }

    /// What the buyer pays for the line.
    pub fn amount(&self) -> Result<Won, OutOfRange> {
        self.gross()?.minus(self.discount)
    }
}

impl Order {
    pub const MOST_LINES: usize = 500;
    pub const LONGEST_NAME: usize = 100;

    /// Checks every figure; `amount` given must be what the lines come to.
    pub fn new(
        merchant_uid: MerchantUid,
        name: String,
        amount: Option<Won>,
        tax_free: Won,
        lines: Vec<OrderLine>,
    ) -> Result<Order, WrongOrder> {
        let named = |text: &str| {
            let count = text.trim().chars().count();
            (1..=Self::LONGEST_NAME).contains(&count) && !text.chars().any(char::is_control)
        };
        if lines.is_empty() {
            return Err(WrongOrder::NoLines);
        }
        if lines.len() > Self::MOST_LINES {
            return Err(WrongOrder::TooManyLines(lines.len()));
        }
        if !named(&name) {
            return Err(WrongOrder::Name);
        }
        let mut sum = Won::ZERO;
        for (i, line) in lines.iter().enumerate() {
            let line_no = i + 1;
            if !named(&line.name) {
                return Err(WrongOrder::LineName { line: line_no });
            }
            if line.quantity < 1 {
                return Err(WrongOrder::Quantity {
                    line: line_no,
                    quantity: line.quantity,
                });
            }
            if line.unit_price < Won::ZERO {
                return Err(WrongOrder::UnitPrice {
                    line: line_no,
                    price: line.unit_price,
                });
            }
            let gross = line.gross()?;
            if line.discount < Won::ZERO || line.discount > gross {
                return Err(WrongOrder::Discount {
                    line: line_no,
                    discount: line.discount,
                    gross,
                });
            }
            sum = sum.plus(line.amount()?)?;
        }
        let amount = amount.unwrap_or(sum);
        if amount != sum {
            return Err(WrongOrder::Sum { lines: sum, amount });
        }
        if !amount.is_positive() || amount > Won::LARGEST {
            return Err(WrongOrder::Amount(amount));
        }
        if tax_free < Won::ZERO || tax_free > amount {
            return Err(WrongOrder::TaxFree { tax_free, amount });
        }
        Ok(Order {
            merchant_uid,
            name,
            buyer: None,
            amount,
            tax_free,
            lines,
        })
    }

    /// The same order, as this buyer's.
    pub fn of_buyer(mut self, buyer: Option<BuyerId>) -> Order {
        self.buyer = buyer;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(quantity: i64, price: i64, discount: i64) -> OrderLine {
        OrderLine {
            partner: PartnerId::new("farm").unwrap(),
            name: "사과".into(),
            quantity,
            unit_price: Won::new(price),
            discount: Won::new(discount),
        }
    }

    fn order(
        amount: Option<i64>,
        tax_free: i64,
        lines: Vec<OrderLine>,
    ) -> Result<Order, WrongOrder> {
        let id = MerchantUid::new("ord-1").unwrap();
        Order::new(
            id,
            "사과 5kg".into(),
            amount.map(Won::new),
            Won::new(tax_free),
            lines,
        )
    }

    #[test]
    fn the_lines_make_the_amount() {
        let order = order(None, 0, vec![line(5, 2_000, 0), line(1, 4_000, 500)]).unwrap();
        assert_eq!(order.amount, Won::new(13_500));
    }

    #[test]
    fn a_figure_that_does_not_fit_is_named() {
        use WrongOrder as W;
        let won = Won::new;
        assert_eq!(order(None, 0, vec![]), Err(W::NoLines));
        assert_eq!(
            order(Some(9_000), 0, vec![line(1, 12_000, 0)]),
            Err(W::Sum {
                lines: won(12_000),
                amount: won(9_000)
            })
        );
        assert_eq!(
            order(None, 0, vec![line(0, 1, 0)]),
            Err(W::Quantity {
                line: 1,
                quantity: 0
            })
        );
        assert_eq!(
            order(None, 0, vec![line(1, 100, 101)]),
            Err(W::Discount {
                line: 1,
                discount: won(101),
                gross: won(100)
            })
        );
        assert_eq!(
            order(None, 11, vec![line(1, 10, 0)]),
            Err(W::TaxFree {
                tax_free: won(11),
                amount: won(10)
            })
        );
        assert_eq!(
            order(None, 0, vec![line(1, 0, 0)]),
            Err(W::Amount(Won::ZERO))
        );
        assert_eq!(
            order(None, 0, vec![line(i64::MAX, 2, 0)]),
            Err(W::OutOfRange(OutOfRange))
        );
    }
}
