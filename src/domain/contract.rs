//! What a partner and the shop agreed on, and what it makes of one order line.
//!
//! A fee on a part is the *difference of two cuts*: [`Terms::cut`] says what all of a line that is
//! still sold comes to, and a movement is worth the cut after it less the cut before it. So giving back
//! in pieces comes to the same as giving back at once, and giving back everything leaves nothing.
//!
//! Formulas and names as in PortOne's partner settlement: the fee's base is the order amount, not what
//! the buyer paid; VAT of a fee is 10 %.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{
    cycle::Cycle,
    money::{OutOfRange, Won},
};

/// A part of a whole, in units of 10⁻⁵: 10,000 is 10 %, 3,300 is 3.3 %. Between 0 and 100 %.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(try_from = "i64", into = "i64")]
pub struct Rate(u32);

/// A rate that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the rate `{0}` cannot be: expected 0 to 100 % with at most three decimals, such as 3.3")]
pub struct NotARate(pub String);

impl Rate {
    pub const ZERO: Rate = Rate(0);
    /// 100 %.
    pub const WHOLE: Rate = Rate(100_000);

    /// From units of 10⁻⁵.
    pub fn new(units: i64) -> Result<Rate, NotARate> {
        u32::try_from(units)
            .ok()
            .filter(|units| *units <= Self::WHOLE.0)
            .map(Rate)
            .ok_or_else(|| NotARate(units.to_string()))
    }

    /// In units of 10⁻⁵.
    pub fn units(self) -> i64 {
        i64::from(self.0)
    }

    /// This part of an amount that is not negative, rounded to whole won.
    pub(super) fn of(self, amount: Won, round: Round) -> Result<Won, OutOfRange> {
        round.divide(i128::from(amount.get()) * i128::from(self.0), 100_000)
    }
}

impl TryFrom<i64> for Rate {
    type Error = NotARate;
    fn try_from(units: i64) -> Result<Rate, NotARate> {
        Rate::new(units)
    }
}

impl From<Rate> for i64 {
    fn from(rate: Rate) -> i64 {
        rate.units()
    }
}

/// `3.3`, `3.3%` or `10 %`, as people write per cent.
impl FromStr for Rate {
    type Err = NotARate;

    fn from_str(text: &str) -> Result<Rate, NotARate> {
        let wrong = || NotARate(text.to_owned());
        let digits = text.trim().trim_end_matches(['%', '％']).trim();
        let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
        let plain = |s: &str| s.len() <= 3 && s.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() || !plain(whole) || !plain(part) {
            return Err(wrong());
        }
        let whole: i64 = whole.parse().map_err(|_| wrong())?;
        let part: i64 = format!("{part:0<3}").parse().map_err(|_| wrong())?;
        Rate::new(whole * 1_000 + part).map_err(|_| wrong())
    }
}

/// `3.3%`.
impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, part) = (self.0 / 1_000, self.0 % 1_000);
        if part == 0 {
            return write!(f, "{whole}%");
        }
        let part = format!("{part:03}");
        write!(f, "{whole}.{}%", part.trim_end_matches('0'))
    }
}

/// How a step is rounded to whole won. Amounts here are never negative, so down is toward zero.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Round {
    /// 버림: the odd won is the partner's.
    #[default]
    Down,
    /// 올림.
    Up,
    /// 반올림: half a won goes up.
    Half,
}

impl Round {
    pub const ALL: [Round; 3] = [Round::Down, Round::Up, Round::Half];

    pub fn as_str(self) -> &'static str {
        match self {
            Round::Down => "DOWN",
            Round::Up => "UP",
            Round::Half => "HALF",
        }
    }

    pub fn parse(text: &str) -> Option<Round> {
        Round::ALL.into_iter().find(|round| round.as_str() == text)
    }

    pub(super) fn divide(self, number: i128, by: i128) -> Result<Won, OutOfRange> {
        let more = match self {
            Round::Down => 0,
            Round::Up => by - 1,
            Round::Half => by / 2,
        };
        let won = (number + more).div_euclid(by);
        i64::try_from(won).map(Won::new).map_err(|_| OutOfRange)
    }
}

/// How each step of the formula is rounded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Rounding {
    pub fee: Round,
    pub fee_vat: Round,
    pub additional: Round,
    pub additional_vat: Round,
    pub discount_share: Round,
    pub payment_vat: Round,
}

/// What is taken for a service, on each order line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Fee {
    /// A part of the order amount.
    Rate(Rate),
    /// So many won for each order line that is still sold, whatever its amount.
    Fixed(Won),
}

impl Fee {
    pub(super) fn of(self, order: Won, round: Round) -> Result<Won, OutOfRange> {
        match self {
            Fee::Rate(rate) => rate.of(order, round),
            Fee::Fixed(_) if order.is_zero() => Ok(Won::ZERO),
            Fee::Fixed(amount) => Ok(amount),
        }
    }
}

impl fmt::Display for Fee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fee::Rate(rate) => write!(f, "{rate}"),
            Fee::Fixed(amount) => write!(f, "₩{amount}"),
        }
    }
}

/// Who bears the VAT of a fee.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum VatBearer {
    /// It comes on top of the fee and is deducted.
    #[default]
    Partner,
    /// It is inside the fee; the partner's sum does not change.
    Platform,
}

impl VatBearer {
    pub fn as_str(self) -> &'static str {
        match self {
            VatBearer::Partner => "PARTNER",
            VatBearer::Platform => "PLATFORM",
        }
    }

    pub fn parse(text: &str) -> Option<VatBearer> {
        [VatBearer::Partner, VatBearer::Platform]
            .into_iter()
            .find(|bearer| bearer.as_str() == text)
    }

    /// 10 % of a fee, if the partner bears it.
    pub(super) fn vat(self, fee: Won, round: Round) -> Result<Won, OutOfRange> {
        match self {
            VatBearer::Partner => round.divide(i128::from(fee.get()), 10),
            VatBearer::Platform => Ok(Won::ZERO),
        }
    }
}

/// A fee beside the platform's: of a PG, a channel, a warehouse.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AdditionalFee {
    pub name: String,
    pub fee: Fee,
    #[serde(default)]
    pub vat: VatBearer,
}

/// What holds between a partner and the shop from some day on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(try_from = "TermsParts")]
pub struct Terms {
    /// Platform fee (중개 수수료).
    pub fee: Fee,
    pub fee_vat: VatBearer,
    pub additional: Vec<AdditionalFee>,
    /// The part of a discount that the partner bears.
    pub discount_share: Rate,
    /// Whether the VAT inside what the buyer paid is kept back.
    pub subtract_payment_vat: bool,
    #[schema(value_type = Object)]
    pub cycle: Cycle,
    /// A partner's payout below this waits for the next one. 0 pays everything.
    pub min_payout: Won,
    pub rounding: Rounding,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TermsParts {
    fee: Fee,
    #[serde(default)]
    fee_vat: VatBearer,
    #[serde(default)]
    additional: Vec<AdditionalFee>,
    #[serde(default)]
    discount_share: Rate,
    #[serde(default)]
    subtract_payment_vat: bool,
    cycle: Cycle,
    #[serde(default)]
    min_payout: Won,
    #[serde(default)]
    rounding: Rounding,
}

/// Why terms cannot be agreed on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WrongTerms {
    #[error("the {what} is {amount} won: expected 0 to {most} won")]
    Amount {
        what: &'static str,
        amount: Won,
        most: Won,
    },
    #[error("there are {0} additional fees: at most {most} are taken", most = Terms::MOST_ADDITIONAL)]
    TooMany(usize),
    #[error("additional fee {0}: its name must have 1 to 40 characters")]
    Name(usize),
}

impl TryFrom<TermsParts> for Terms {
    type Error = WrongTerms;

    fn try_from(parts: TermsParts) -> Result<Terms, WrongTerms> {
        Terms {
            fee: parts.fee,
            fee_vat: parts.fee_vat,
            additional: parts.additional,
            discount_share: parts.discount_share,
            subtract_payment_vat: parts.subtract_payment_vat,
            cycle: parts.cycle,
            min_payout: parts.min_payout,
            rounding: parts.rounding,
        }
        .check()
    }
}

/// What of an order line is sold, at some moment: nothing yet, all of it, or what was not given back.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
pub struct Position {
    /// Order amount: unit price × quantity.
    pub order: Won,
    pub discount: Won,
    /// Part of what was paid that bears no VAT.
    pub tax_free: Won,
}

impl Position {
    pub const NONE: Position = Position {
        order: Won::ZERO,
        discount: Won::ZERO,
        tax_free: Won::ZERO,
    };

    /// What the buyer paid for it.
    pub fn payment(&self) -> Result<Won, OutOfRange> {
        self.order.minus(self.discount)
    }
}

/// What terms make of a position, or of the difference of two: the figures of a settlement line.
///
/// `net = order − fee − fee_vat − additional − additional_vat − discount_share − payment_vat`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Cut {
    pub order: Won,
    pub discount: Won,
    pub fee: Won,
    pub fee_vat: Won,
    pub additional: Won,
    pub additional_vat: Won,
    pub discount_share: Won,
    pub payment_vat: Won,
    pub net: Won,
}

impl Cut {
    fn each(
        self,
        other: Cut,
        f: impl Fn(Won, Won) -> Result<Won, OutOfRange>,
    ) -> Result<Cut, OutOfRange> {
        Ok(Cut {
            order: f(self.order, other.order)?,
            discount: f(self.discount, other.discount)?,
            fee: f(self.fee, other.fee)?,
            fee_vat: f(self.fee_vat, other.fee_vat)?,
            additional: f(self.additional, other.additional)?,
            additional_vat: f(self.additional_vat, other.additional_vat)?,
            discount_share: f(self.discount_share, other.discount_share)?,
            payment_vat: f(self.payment_vat, other.payment_vat)?,
            net: f(self.net, other.net)?,
        })
    }

    pub fn plus(self, other: Cut) -> Result<Cut, OutOfRange> {
        self.each(other, Won::plus)
    }

    pub fn minus(self, other: Cut) -> Result<Cut, OutOfRange> {
        self.each(other, Won::minus)
    }
}

impl Terms {
    pub const MOST_ADDITIONAL: usize = 10;

    /// The plainest terms: a fee with its VAT on the partner, rounded down, paid by `cycle`.
    pub fn plain(fee: Fee, cycle: Cycle) -> Terms {
        Terms {
            fee,
            fee_vat: VatBearer::Partner,
            additional: Vec::new(),
            discount_share: Rate::ZERO,
            subtract_payment_vat: false,
            cycle,
            min_payout: Won::ZERO,
            rounding: Rounding::default(),
        }
    }

    /// Terms whose figures can be, or the first that cannot.
    pub fn check(self) -> Result<Terms, WrongTerms> {
        let within = |what, amount: Won| {
            if amount < Won::ZERO || amount > Won::LARGEST {
                let most = Won::LARGEST;
                return Err(WrongTerms::Amount { what, amount, most });
            }
            Ok(())
        };
        let fixed = |fee: Fee| match fee {
            Fee::Rate(_) => Won::ZERO,
            Fee::Fixed(amount) => amount,
        };
        within("fee", fixed(self.fee))?;
        within("minimum payout", self.min_payout)?;
        if self.additional.len() > Self::MOST_ADDITIONAL {
            return Err(WrongTerms::TooMany(self.additional.len()));
        }
        for (i, additional) in self.additional.iter().enumerate() {
            within("additional fee", fixed(additional.fee))?;
            let count = additional.name.trim().chars().count();
            if !(1..=40).contains(&count) || additional.name.chars().any(char::is_control) {
                return Err(WrongTerms::Name(i + 1));
            }
        }
        Ok(self)
    }

    /// What a position comes to.
    pub fn cut(&self, position: &Position) -> Result<Cut, OutOfRange> {
        let (order, round) = (position.order, &self.rounding);
        let fee = self.fee.of(order, round.fee)?;
        let fee_vat = self.fee_vat.vat(fee, round.fee_vat)?;
        let (mut additional, mut additional_vat) = (Won::ZERO, Won::ZERO);
        for more in &self.additional {
            let fee = more.fee.of(order, round.additional)?;
            additional = additional.plus(fee)?;
            additional_vat = additional_vat.plus(more.vat.vat(fee, round.additional_vat)?)?;
        }
        let discount_share = self
            .discount_share
            .of(position.discount, round.discount_share)?;
        let payment_vat = if self.subtract_payment_vat {
            // VAT is a tenth of the supply price, so an eleventh of what was paid with it.
            let taxed = position.payment()?.minus(position.tax_free)?;
            round.payment_vat.divide(i128::from(taxed.get()), 11)?
        } else {
            Won::ZERO
        };
        let taken = Won::sum([
            fee,
            fee_vat,
            additional,
            additional_vat,
            discount_share,
            payment_vat,
        ])?;
        Ok(Cut {
            order,
            discount: position.discount,
            fee,
            fee_vat,
            additional,
            additional_vat,
            discount_share,
            payment_vat,
            net: order.minus(taken)?,
        })
    }

    /// What a movement from one position to another is worth: negative when something goes back.
    pub fn between(&self, before: &Position, after: &Position) -> Result<Cut, OutOfRange> {
        self.cut(after)?.minus(self.cut(before)?)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::cycle::{HolidayPolicy, Method};

    fn daily() -> Cycle {
        Cycle::new(1, Method::Daily, HolidayPolicy::After).unwrap()
    }

    fn ten_percent() -> Terms {
        Terms::plain(Fee::Rate("10".parse().unwrap()), daily())
    }

    fn sold(order: i64, discount: i64) -> Position {
        Position {
            order: Won::new(order),
            discount: Won::new(discount),
            tax_free: Won::ZERO,
        }
    }

    #[test]
    fn the_vectors_of_the_design_come_out() {
        let half_share = Terms {
            discount_share: "50%".parse().unwrap(),
            ..ten_percent()
        };
        let extra = Terms {
            additional: vec![AdditionalFee {
                name: "PG".into(),
                fee: Fee::Rate("5".parse().unwrap()),
                vat: VatBearer::Partner,
            }],
            ..ten_percent()
        };
        let plain = ten_percent();
        // terms, before, after; order, fee, VAT, extra + VAT, share, settlement
        let none = Position::NONE;
        for (what, terms, before, after, expected) in [
            (
                "plain",
                &plain,
                none,
                sold(10_000, 0),
                [10_000, 1_000, 100, 0, 0, 8_900],
            ),
            (
                "cancel 5,000 of it",
                &plain,
                sold(10_000, 0),
                sold(5_000, 0),
                [-5_000, -500, -50, 0, 0, -4_450],
            ),
            (
                "discount 2,000, partner bears half",
                &half_share,
                none,
                sold(10_000, 2_000),
                [10_000, 1_000, 100, 0, 1_000, 7_900],
            ),
            (
                "extra fee",
                &extra,
                none,
                sold(10_000, 0),
                [10_000, 1_000, 100, 550, 0, 8_350],
            ),
        ] {
            let cut = terms.between(&before, &after).unwrap();
            let figures = [
                cut.order.get(),
                cut.fee.get(),
                cut.fee_vat.get(),
                cut.additional.get() + cut.additional_vat.get(),
                cut.discount_share.get(),
                cut.net.get(),
            ];
            assert_eq!(figures, expected, "{what}");
        }
        let two = plain
            .between(&none, &sold(10_000, 0))
            .unwrap()
            .plus(plain.between(&none, &sold(4_000, 0)).unwrap())
            .unwrap();
        assert_eq!(
            (
                two.order.get(),
                two.fee.get(),
                two.fee_vat.get(),
                two.net.get()
            ),
            (14_000, 1_400, 140, 12_460)
        );
    }

    #[test]
    fn each_option_of_the_terms_counts() {
        let won = Won::new;
        let fixed = Terms::plain(Fee::Fixed(won(700)), daily());
        let cut = fixed.cut(&sold(10_000, 0)).unwrap();
        assert_eq!(
            (cut.fee, cut.fee_vat, cut.net),
            (won(700), won(70), won(9_230))
        );
        assert_eq!(fixed.cut(&Position::NONE).unwrap(), Cut::default());

        let platform = Terms {
            fee_vat: VatBearer::Platform,
            ..ten_percent()
        };
        assert_eq!(platform.cut(&sold(10_000, 0)).unwrap().net, won(9_000));

        let vat = Terms {
            subtract_payment_vat: true,
            ..ten_percent()
        };
        let partly_free = Position {
            tax_free: won(1_000),
            ..sold(12_000, 0)
        };
        assert_eq!(vat.cut(&partly_free).unwrap().payment_vat, won(1_000));

        for (round, fee) in [(Round::Down, 33), (Round::Up, 34), (Round::Half, 33)] {
            let rounding = Rounding {
                fee: round,
                ..Rounding::default()
            };
            let terms = Terms {
                rounding,
                ..Terms::plain(Fee::Rate("3.3".parse().unwrap()), daily())
            };
            assert_eq!(
                terms.cut(&sold(1_010, 0)).unwrap().fee,
                won(fee),
                "{round:?}"
            );
        }
    }

    #[test]
    fn a_rate_reads_as_people_write_it() {
        for (text, units, shown) in [
            ("10", 10_000, "10%"),
            ("3.3%", 3_300, "3.3%"),
            ("0.125 %", 125, "0.125%"),
            ("100", 100_000, "100%"),
            ("0", 0, "0%"),
        ] {
            let rate: Rate = text.parse().unwrap();
            assert_eq!((rate.units(), rate.to_string().as_str()), (units, shown));
        }
        for wrong in [
            "", "-1", "101", "100.001", "3.3333", "ten", "1e1", ".5", "3,3",
        ] {
            assert!(wrong.parse::<Rate>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn terms_that_cannot_be_are_named() {
        let terms = |json: serde_json::Value| serde_json::from_value::<Terms>(json);
        let cycle = serde_json::to_value(daily()).unwrap();
        let plain = serde_json::json!({ "fee": { "rate": 10_000 }, "cycle": cycle });
        assert_eq!(terms(plain.clone()).unwrap(), ten_percent());
        let with = |key: &str, value: serde_json::Value| {
            let mut json = plain.clone();
            json[key] = value;
            terms(json).unwrap_err().to_string()
        };
        assert!(with("fee", serde_json::json!({ "rate": 100_001 })).contains("0 to 100 %"));
        assert!(with("min_payout", serde_json::json!(-1)).contains("minimum payout"));
        assert!(with("fees", serde_json::json!(1)).contains("fees"));
    }

    fn any_terms() -> impl Strategy<Value = Terms> {
        let round = || prop_oneof![Just(Round::Down), Just(Round::Up), Just(Round::Half)];
        let fee = || {
            prop_oneof![
                (0i64..=100_000).prop_map(|units| Fee::Rate(Rate::new(units).unwrap())),
                (0i64..5_000).prop_map(|won| Fee::Fixed(Won::new(won))),
            ]
        };
        let bearer = || prop_oneof![Just(VatBearer::Partner), Just(VatBearer::Platform)];
        let more = (fee(), bearer()).prop_map(|(fee, vat)| AdditionalFee {
            name: "x".into(),
            fee,
            vat,
        });
        let rounding =
            (round(), round(), round(), round(), round(), round()).prop_map(|r| Rounding {
                fee: r.0,
                fee_vat: r.1,
                additional: r.2,
                additional_vat: r.3,
                discount_share: r.4,
                payment_vat: r.5,
            });
        let additional = proptest::collection::vec(more, 0..3);
        (
            fee(),
            bearer(),
            additional,
            0i64..=100_000,
            any::<bool>(),
            rounding,
        )
            .prop_map(|(fee, fee_vat, additional, share, vat, rounding)| Terms {
                fee_vat,
                additional,
                discount_share: Rate::new(share).unwrap(),
                subtract_payment_vat: vat,
                rounding,
                ..Terms::plain(fee, daily())
            })
    }

    proptest! {
        #[test]
        fn the_net_is_the_order_less_every_part(terms in any_terms(), order in 0i64..1_000_000_000, off in 0i64..1_000) {
            let cut = terms.cut(&sold(order, off.min(order))).unwrap();
            let parts = [cut.fee, cut.fee_vat, cut.additional, cut.additional_vat, cut.discount_share, cut.payment_vat];
            prop_assert_eq!(cut.net, cut.order.minus(Won::sum(parts).unwrap()).unwrap());
        }

        #[test]
        fn giving_back_in_pieces_is_giving_back_at_once(
            terms in any_terms(), order in 1i64..10_000_000, mut stops in proptest::collection::vec(0i64..10_000_000, 0..6),
        ) {
            stops.iter_mut().for_each(|stop| *stop %= order);
            stops.sort_unstable_by(|a, b| b.cmp(a));
            let mut before = sold(order, 0);
            let mut sum = Cut::default();
            for stop in &stops {
                let after = sold(*stop, 0);
                sum = sum.plus(terms.between(&before, &after).unwrap()).unwrap();
                before = after;
            }
            prop_assert_eq!(sum, terms.between(&sold(order, 0), &before).unwrap());
            // Nothing is left once everything went back.
            let all = terms.cut(&sold(order, 0)).unwrap().plus(sum).unwrap();
            let rest = terms.between(&before, &Position::NONE).unwrap();
            prop_assert_eq!(all.plus(rest).unwrap(), Cut::default());
        }
    }
}
