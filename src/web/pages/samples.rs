//! What the sample shop sells: a few orders to try everything with, in test mode only.

use jiff::Timestamp;

use crate::{
    domain::{
        calendar::KstDay,
        ids::{BuyerId, MerchantUid, PartnerId},
        money::Won,
        order::{Order, OrderLine},
    },
    web::{error::Problem, lang::Lang},
};

/// One article: its lines say to whom which part is owed.
pub struct Sample {
    pub id: &'static str,
    pub ko: &'static str,
    pub en: &'static str,
    pub about_ko: &'static str,
    pub about_en: &'static str,
    lines: &'static [Line],
}

struct Line {
    partner: &'static str,
    ko: &'static str,
    en: &'static str,
    quantity: i64,
    price: i64,
    discount: i64,
    /// Fresh produce bears no VAT.
    tax_free: bool,
}

const APPLES: Line = Line {
    partner: "farm-haetsal",
    ko: "햇사과 5kg",
    en: "New apples, 5 kg",
    quantity: 1,
    price: 32_000,
    discount: 0,
    tax_free: true,
};
const TEA: Line = Line {
    partner: "tea-jiri",
    ko: "지리산 우전 녹차 50g",
    en: "Jirisan first-flush green tea, 50 g",
    quantity: 1,
    price: 24_000,
    discount: 0,
    tax_free: false,
};

pub const ALL: [Sample; 4] = [
    Sample {
        id: "apples",
        ko: "햇사과 5kg",
        en: "New apples, 5 kg",
        about_ko: "햇살농원 · 오늘 아침에 딴 홍로",
        about_en: "Haetsal farm · picked this morning",
        lines: &[APPLES],
    },
    Sample {
        id: "tea",
        ko: "지리산 우전 녹차 50g",
        en: "Jirisan first-flush green tea, 50 g",
        about_ko: "지리다원 · 곡우 전에 손으로 덖은 차",
        about_en: "Jiri tea garden · roasted by hand",
        lines: &[TEA],
    },
    Sample {
        id: "mandarins",
        ko: "제주 노지 감귤 3kg × 2",
        en: "Jeju mandarins, 3 kg × 2",
        about_ko: "귤밭집 · 두 상자에 2,000원 할인",
        about_en: "Gyulbat · ₩2,000 off for two boxes",
        lines: &[Line {
            partner: "farm-gyulbat",
            ko: "제주 노지 감귤 3kg",
            en: "Jeju mandarins, 3 kg",
            quantity: 2,
            price: 14_900,
            discount: 2_000,
            tax_free: true,
        }],
    },
    Sample {
        id: "gift",
        ko: "한가위 선물세트",
        en: "Harvest gift box",
        about_ko: "햇사과와 우전 녹차 · 두 파트너사가 함께",
        about_en: "Apples and tea · from two partners",
        lines: &[
            APPLES,
            Line {
                discount: 3_000,
                ..TEA
            },
        ],
    },
];

/// Whose the sample orders are: a link for this buyer shows what a buyer sees.
pub fn buyer() -> Option<BuyerId> {
    BuyerId::new("sample-buyer").ok()
}

impl Line {
    fn amount(&self) -> i64 {
        self.price * self.quantity - self.discount
    }
}

impl Sample {
    pub fn amount(&self) -> Won {
        Won::new(self.lines.iter().map(Line::amount).sum())
    }

    /// Its picture among the assets.
    pub fn picture(&self) -> String {
        format!("goods/{}.svg", self.id)
    }

    /// An order of this article under a new number: `ord-20260806-7K2M9Q`.
    pub fn order(&self, now: Timestamp, lang: Lang) -> Result<Order, Problem> {
        let day = KstDay::of(now).to_string().replace('-', "");
        let merchant_uid = MerchantUid::new(format!("ord-{day}-{}", tail()))?;
        let free = self.lines.iter().filter(|line| line.tax_free);
        let tax_free = Won::new(free.map(Line::amount).sum());
        let lines = self
            .lines
            .iter()
            .map(|line| {
                Ok(OrderLine {
                    partner: PartnerId::new(line.partner)?,
                    name: lang.t(line.ko, line.en).to_owned(),
                    quantity: line.quantity,
                    unit_price: Won::new(line.price),
                    discount: Won::new(line.discount),
                })
            })
            .collect::<Result<Vec<_>, Problem>>()?;
        let name = lang.t(self.ko, self.en).to_owned();
        Ok(Order::new(merchant_uid, name, None, tax_free, lines)?)
    }
}

/// Six letters and digits that nobody mixes up when reading them out.
fn tail() -> String {
    const LETTERS: &[u8; 32] = b"23456789ABCDEFGHJKLMNPQRSTUVWXYZ";
    let bits: u32 = rand::random();
    (0..6)
        .map(|i| char::from(LETTERS[(bits >> (i * 5)) as usize % LETTERS.len()]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sample_is_an_order_whose_figures_tie() {
        let now = "2026-08-06T01:00:00Z".parse().unwrap();
        for sample in &ALL {
            for lang in [Lang::Ko, Lang::En] {
                let order = sample.order(now, lang).unwrap();
                assert_eq!(order.amount, sample.amount());
                assert!(order.merchant_uid.as_str().starts_with("ord-20260806-"));
                assert_eq!(order.merchant_uid.as_str().len(), 19);
            }
        }
    }
}
