//! What is kept from a payout for the tax office, where the law makes the payer keep it (원천징수).
//!
//! Only individuals who offer personal services in their own name are withheld from: 3 % income tax
//! (소득세법 제129조 제1항 제3호) and 10 % of that as local income tax (지방세법 제103조의13), 3.3 % for
//! short. Each tax is cut below 10 won (국고금 관리법 제47조), in favour of the partner.
//!
//! The exemption of small sums (소액부징수, a tax below 1,000 won; 소득세법 제86조) has not held for
//! continuous personal services since July 2024, so none is applied: 33,300 won pay their 990.

use serde::Serialize;

use super::{money::Won, partner::PartnerType};

/// A payout, and what becomes of it. `gross == income_tax + local_tax + paid`, always.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Withheld {
    /// Due before tax.
    pub gross: Won,
    /// 소득세.
    pub income_tax: Won,
    /// 지방소득세.
    pub local_tax: Won,
    /// What goes to the partner's account.
    pub paid: Won,
}

/// Nothing can be kept from less than nothing: such a sum is carried over, not paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the sum to pay is {0} won; expected 0 or more")]
pub struct NegativeGross(pub Won);

/// Cuts a payout into taxes and what is paid. `gross` is the sum of one payout, not of one line of
/// it: the cut below 10 won happens once.
pub fn withhold(kind: &PartnerType, gross: Won) -> Result<Withheld, NegativeGross> {
    if gross < Won::ZERO {
        return Err(NegativeGross(gross));
    }
    // The products stay within 128 bits, and a part of an `i64` is one again.
    let part = |won: i64, percent: i128| {
        let tax = i128::from(won) * percent / 100;
        i64::try_from(tax - tax % 10).unwrap_or(won)
    };
    let (income_tax, local_tax) = if kind.withholds() {
        let income_tax = part(gross.get(), 3);
        (income_tax, part(income_tax, 10))
    } else {
        (0, 0)
    };
    Ok(Withheld {
        gross,
        income_tax: Won::new(income_tax),
        local_tax: Won::new(local_tax),
        paid: Won::new(gross.get() - income_tax - local_tax),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(gross: i64) -> (i64, i64, i64) {
        let cut = withhold(&PartnerType::WithholdingIndividual, Won::new(gross)).unwrap();
        (cut.income_tax.get(), cut.local_tax.get(), cut.paid.get())
    }

    #[test]
    fn taxes_are_cut_below_ten_won() {
        assert_eq!(cut(1_234_567), (37_030, 3_700, 1_193_837));
        assert_eq!(cut(33_300), (990, 90, 32_220));
        assert_eq!(cut(1_000_000), (30_000, 3_000, 967_000));
        assert_eq!(cut(333), (0, 0, 333));
        assert_eq!(cut(334), (10, 0, 324));
        assert_eq!(cut(0), (0, 0, 0));
    }

    #[test]
    fn only_withholding_individuals_are_withheld_from() {
        for kind in PartnerType::ALL {
            let cut = withhold(&kind, Won::new(1_000_000)).unwrap();
            let taxed = kind == PartnerType::WithholdingIndividual;
            assert_eq!(cut.paid != cut.gross, taxed, "{}", kind.as_str());
        }
    }

    #[test]
    fn nothing_is_kept_from_less_than_nothing() {
        let kind = PartnerType::Individual;
        assert_eq!(
            withhold(&kind, Won::new(-1)),
            Err(NegativeGross(Won::new(-1)))
        );
    }

    proptest::proptest! {
        #[test]
        fn every_won_is_paid_or_kept_and_no_more_than_3_3_percent_is_kept(gross in 0i64..=i64::MAX) {
            let (income, local, paid) = cut(gross);
            proptest::prop_assert_eq!(income + local + paid, gross);
            proptest::prop_assert!(income >= 0 && local >= 0 && paid >= 0);
            proptest::prop_assert!(income % 10 == 0 && local % 10 == 0);
            let kept = i128::from(income + local) * 1_000;
            proptest::prop_assert!(kept <= i128::from(gross) * 33);
            proptest::prop_assert!(i128::from(gross) * 33 - kept < 22_000);
        }
    }
}
