//! Figures drawn on the server: bars and lines, as SVG without styles of its own.
//!
//! A picture is read out by its title and description, and the same figures stand in a table below it.
//! It is stretched to the room there is, so it has no letters in it.

use maud::{Markup, html};

use crate::web::lang::Lang;

const SLOT: f64 = 12.0;
const HEIGHT: f64 = 100.0;

/// One name under the picture, with a figure of each series.
pub struct Point<'a> {
    pub name: String,
    pub values: &'a [i64],
}

/// What is drawn.
pub struct Chart<'a> {
    /// A name of its own on the page, for what refers to its title.
    pub id: &'a str,
    pub title: &'a str,
    /// What a person who does not see it should know.
    pub about: &'a str,
    /// Names of the series, in the order of each point's values. There are colours for three.
    pub series: &'a [&'a str],
    pub points: &'a [Point<'a>],
    /// How a figure is written: money, a count.
    pub write: fn(i64) -> String,
}

impl Chart<'_> {
    /// The greatest and the least figure; the line of zero is always in it.
    fn ends(&self) -> (i64, i64) {
        let all = || {
            self.points
                .iter()
                .flat_map(|point| point.values.iter().copied())
        };
        (
            all().max().unwrap_or(0).max(0),
            all().min().unwrap_or(0).min(0),
        )
    }

    fn width(&self) -> f64 {
        SLOT * self.points.len().max(1) as f64
    }

    /// How far below the top a figure lies.
    fn depth(&self, value: i64) -> f64 {
        let (up, down) = self.ends();
        let span = up.saturating_sub(down).max(1) as f64;
        HEIGHT * (up.saturating_sub(value)) as f64 / span
    }

    /// `table`: with the same figures below it; else whoever draws it puts them into one of their own.
    fn frame(&self, lang: Lang, inside: &Markup, table: bool) -> Markup {
        let (title, about) = (format!("{}-title", self.id), format!("{}-about", self.id));
        let (up, down) = self.ends();
        let zero = format!("{:.2}", self.depth(0));
        let first = self.points.first().map_or("", |point| &point.name);
        let last = self.points.last().map_or("", |point| &point.name);
        html! {
            figure.chart {
                @if self.series.len() > 1 {
                    p.legend { @for (at, name) in self.series.iter().enumerate() { span { i class={ "swatch s" (at) } aria-hidden="true" {} (name) } } }
                }
                p.scale { ((self.write)(up)) @if down < 0 { " … " ((self.write)(down)) } }
                svg role="img" aria-labelledby={ (title) " " (about) } viewBox=(format!("0 0 {:.0} {HEIGHT:.0}", self.width())) preserveAspectRatio="none" {
                    title id=(title) { (self.title) }
                    desc id=(about) { (self.about) }
                    line.grid x1="0" x2=(format!("{:.0}", self.width())) y1="0" y2="0" {}
                    (inside)
                    line.axis x1="0" x2=(format!("{:.0}", self.width())) y1=(zero) y2=(zero) {}
                }
                p.ends { span { (first) } @if first != last { span { (last) } } }
                @if table { (self.table(lang)) }
            }
        }
    }

    fn table(&self, lang: Lang) -> Markup {
        html! {
            details {
                summary { (lang.t("표로 보기", "As a table")) }
                div.wide-table tabindex="0" role="region" aria-label=(self.title) {
                    table.plain.small {
                        thead { tr { th scope="col" { span.hidden { (lang.t("구분", "Of")) } } @for name in self.series { th.num scope="col" { (name) } } } }
                        tbody {
                            @for point in self.points.iter().rev() {
                                tr { th scope="row" { (point.name) } @for value in point.values { td.num { ((self.write)(*value)) } } }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Bars from the line of zero, up and down; those of a point stand in one another, the later narrower.
pub fn bars(chart: &Chart<'_>, lang: Lang) -> Markup {
    chart.frame(lang, &drawn_bars(chart), true)
}

/// The same for a page with a table of its own.
pub fn bars_alone(chart: &Chart<'_>, lang: Lang) -> Markup {
    chart.frame(lang, &drawn_bars(chart), false)
}

fn drawn_bars(chart: &Chart<'_>) -> Markup {
    html! {
        @for (at, point) in chart.points.iter().enumerate() {
            @for (of, value) in point.values.iter().enumerate().filter(|(_, value)| **value != 0) {
                @let inset = 1.5 + 2.0 * of as f64;
                @let (top, zero) = (chart.depth((*value).max(0)), chart.depth((*value).min(0)));
                rect class={ "s" (of) } x=(format!("{:.1}", SLOT * at as f64 + inset)) y=(format!("{top:.2}"))
                    width=(format!("{:.1}", (SLOT - 2.0 * inset).max(1.0))) height=(format!("{:.2}", (zero - top).max(0.6))) rx="1" {
                    title { (point.name) @if let Some(name) = chart.series.get(of) { " " (name) } " " ((chart.write)(*value)) }
                }
            }
        }
    }
}

/// A line per series.
pub fn lines(chart: &Chart<'_>, lang: Lang) -> Markup {
    let path = |of: usize| {
        let mut text = String::new();
        for (at, point) in chart.points.iter().enumerate() {
            let Some(value) = point.values.get(of) else {
                continue;
            };
            let step = if text.is_empty() { 'M' } else { 'L' };
            let (x, y) = (SLOT * (at as f64 + 0.5), chart.depth(*value));
            text.push_str(&format!("{step}{x:.1} {y:.2}"));
        }
        // A point alone has no line: it is drawn as a short one.
        if chart.points.len() == 1 {
            text.push_str("h1");
        }
        text
    };
    let inside = html! {
        @for of in 0..chart.series.len() { path class={ "line s" (of) } d=(path(of)) {} }
    };
    chart.frame(lang, &inside, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart<'a>(points: &'a [Point<'a>]) -> Chart<'a> {
        Chart {
            id: "c",
            title: "매출 <b>",
            about: "이번 달",
            series: &["매출", "취소"],
            points,
            write: |value| value.to_string(),
        }
    }

    #[test]
    fn a_picture_stays_in_its_frame_and_its_figures_are_in_the_table() {
        let points = [
            Point {
                name: "1일".into(),
                values: &[300, -100],
            },
            Point {
                name: "2일".into(),
                values: &[0, 0],
            },
        ];
        let of = chart(&points);
        for text in [
            bars(&of, Lang::Ko).into_string(),
            lines(&of, Lang::En).into_string(),
        ] {
            assert!(!text.contains("style=") && !text.contains("NaN") && !text.contains("<b>"));
            assert!(
                text.contains("aria-labelledby=\"c-title c-about\""),
                "{text}"
            );
            for figure in [">300</td>", ">-100</td>", "2일"] {
                assert!(text.contains(figure), "{figure}");
            }
        }
        assert!(!bars_alone(&of, Lang::Ko).into_string().contains("<table"));
        let text = bars(&of, Lang::Ko).into_string();
        assert!(
            text.contains("class=\"s0\" x=\"1.5\" y=\"0.00\" width=\"9.0\" height=\"75.00\""),
            "{text}"
        );
        assert!(
            text.contains("class=\"s1\" x=\"3.5\" y=\"75.00\" width=\"5.0\" height=\"25.00\""),
            "{text}"
        );
        assert_eq!(text.matches("<rect").count(), 2, "no bar for nothing");
    }

    #[test]
    fn nothing_and_the_greatest_figures_are_drawn() {
        for values in [&[][..], &[0, 0], &[i64::MAX, i64::MIN]] {
            let points = [Point {
                name: "x".into(),
                values,
            }];
            for of in [chart(&points), chart(&[])] {
                for text in [
                    bars(&of, Lang::Ko).into_string(),
                    lines(&of, Lang::Ko).into_string(),
                ] {
                    assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
                }
            }
        }
    }
}
