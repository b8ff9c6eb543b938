//! Bars drawn on the server: days or hours side by side, what came above the line and what went below it.
//!
//! The drawing is stretched to the room there is, and so has no letters in it. Whoever uses it puts the same
//! figures into a table beside it.

use maud::{Markup, html};

use super::words::won;
use crate::{domain::money::Won, web::lang::Lang};

/// Units of the drawing.
const SLOT: f64 = 12.0;
const HEIGHT: f64 = 100.0;

/// What is drawn of each day or hour: its class in the style sheet, its name, and how far in from the slot's
/// edges it stands.
#[derive(Clone, Copy, Debug)]
pub struct Series<'a> {
    pub class: &'a str,
    pub name: &'a str,
    pub inset: f64,
}

/// A day or an hour. Negative amounts lie below the line.
#[derive(Clone, Debug)]
pub struct Slot<const N: usize> {
    pub name: String,
    pub amounts: [Won; N],
}

/// The bars, with the scale above and the ends of the line below.
pub fn bars<const N: usize>(
    slots: &[Slot<N>],
    series: &[Series<'_>; N],
    label: &str,
    lang: Lang,
) -> Markup {
    let amounts = || slots.iter().flat_map(|slot| &slot.amounts);
    let up = amounts().map(|amount| amount.get()).max().unwrap_or(0);
    let down = amounts().map(|amount| amount.get()).min().unwrap_or(0);
    let (up, down) = (up.max(0), down.min(0));
    let span = (up - down).max(1) as f64;
    let zero = HEIGHT * up as f64 / span;
    let width = SLOT * slots.len() as f64;
    let bar = |at: usize, slot: &Slot<N>, amount: Won, of: &Series<'_>| {
        let tall = HEIGHT * amount.get().unsigned_abs() as f64 / span;
        let y = if amount.is_positive() {
            zero - tall
        } else {
            zero
        };
        html! {
            @if !amount.is_zero() {
                rect class=(of.class) x=(format!("{:.1}", SLOT * at as f64 + of.inset)) y=(format!("{y:.2}"))
                    width=(format!("{:.1}", SLOT - 2.0 * of.inset)) height=(format!("{:.2}", tall.max(0.6))) {
                    title { (slot.name) " " (of.name) " " (won(amount)) }
                }
            }
        }
    };
    html! {
        div.chart {
            p.scale.top-scale { (won(Won::new(up))) }
            svg role="img" aria-label=(label) viewBox=(format!("0 0 {width:.0} {HEIGHT:.0}")) preserveAspectRatio="none" {
                title { (label) }
                @for (at, slot) in slots.iter().enumerate() {
                    @for (amount, of) in slot.amounts.iter().zip(series) { (bar(at, slot, *amount, of)) }
                }
                line.axis x1="0" x2=(format!("{width:.0}")) y1=(format!("{zero:.2}")) y2=(format!("{zero:.2}")) {}
            }
            @if let (Some(first), Some(last)) = (slots.first(), slots.last()) {
                p.ends { span { (first.name) } span { (last.name) } }
            }
            @if down < 0 { p.scale { (lang.t("가장 아래 ", "lowest ")) (won(Won::new(down))) } }
        }
    }
}

/// What each colour stands for.
pub fn legend<const N: usize>(series: &[Series<'_>; N]) -> Markup {
    html! {
        p.legend {
            @for of in series { span { i class={ "swatch " (of.class) } aria-hidden="true" {} (of.name) } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_stay_inside_and_nothing_of_them_is_taken_for_markup() {
        let series = [
            Series {
                class: "sales",
                name: "<b>",
                inset: 1.5,
            },
            Series {
                class: "returned",
                name: "back",
                inset: 1.5,
            },
        ];
        let slot = |name: &str, up: i64, down: i64| Slot {
            name: name.into(),
            amounts: [Won::new(up), Won::new(down)],
        };
        let slots = [slot("1", 300, 0), slot("2", 0, -100), slot("3", 0, 0)];
        let text = bars(&slots, &series, "<all>", Lang::En).into_string();
        assert!(text.contains("viewBox=\"0 0 36 100\""), "{text}");
        assert!(
            text.contains("class=\"sales\" x=\"1.5\" y=\"0.00\" width=\"9.0\" height=\"75.00\"")
        );
        assert!(
            text.contains(
                "class=\"returned\" x=\"13.5\" y=\"75.00\" width=\"9.0\" height=\"25.00\""
            )
        );
        assert!(text.contains("1 &lt;b&gt; ₩300</title>") && text.contains("lowest -₩100"));
        assert!(!text.contains("<b>") && !text.contains("<all>") && !text.contains("style="));
        assert!(legend(&series).into_string().contains("&lt;b&gt;"));
    }

    #[test]
    fn nothing_at_all_is_a_line() {
        let series = [Series {
            class: "sales",
            name: "x",
            inset: 1.5,
        }];
        let text = bars::<1>(&[], &series, "none", Lang::Ko).into_string();
        assert!(text.contains("₩0") && !text.contains("NaN") && !text.contains("<rect"));
    }
}
