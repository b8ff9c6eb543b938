//! Alerts that come one after the other are told together: an episode, and when it speaks.
//!
//! The first alert of a subject opens an episode and is told at once, in full. What follows is
//! counted and told in summaries, at first soon and then ever more rarely; when nothing more has come
//! for a while, a last message says so. An outage of an hour is a handful of messages that way.
//!
//! Only silence ends an episode. That what was counted went well is not enough: cancels that each
//! fail twice and then pass would open and end one each, and nothing would be held back at all.
//!
//! Pure. `store::episodes` keeps them, `flow::raise_alert` adds to them, `flow::tell_episode` speaks.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{ids::ImpUid, money::Won};

/// An alert that is further ahead than this came under a clock that was wrong.
const AHEAD: Duration = Duration::from_secs(5 * 60);

/// How long an episode keeps silent between its messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// From the first alert to the first summary.
    pub first: Duration,
    /// From the first summary to the second.
    pub second: Duration,
    /// From each later summary to the next.
    pub later: Duration,
    /// When nothing has come for so long, it is over.
    pub quiet: Duration,
}

impl Pace {
    fn after(&self, summaries: i64) -> Duration {
        match summaries {
            ..=0 => self.first,
            1 => self.second,
            _ => self.later,
        }
    }
}

/// What was counted since a subject's first alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Episode {
    pub opened_at: Timestamp,
    pub last_at: Timestamp,
    pub alerts: i64,
    pub amount: Won,
    /// How many of them a message has told, the first one's own included.
    pub told: i64,
    pub told_amount: Won,
    pub told_at: Timestamp,
    pub summaries: i64,
    pub closed_at: Option<Timestamp>,
}

/// What an episode does now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing before then.
    Wait(Timestamp),
    /// Say what came since the last message.
    Summary,
    /// Say that it is over, and with it all that no summary has told.
    Over,
    /// The first alert was the only one: there is nothing to add to it.
    CloseInSilence,
    /// It is closed, and all of it was told.
    Nothing,
}

impl Episode {
    /// Opens with one alert, which is told by a message of its own.
    pub fn open(amount: Won, now: Timestamp) -> Episode {
        Episode {
            opened_at: now,
            last_at: now,
            alerts: 1,
            amount,
            told: 1,
            told_amount: amount,
            told_at: now,
            summaries: 0,
            closed_at: None,
        }
    }

    /// With one alert more. `None` if it cannot take it: the clock was set back meanwhile, so that it
    /// might keep silent for a year, or the amounts no longer add up. Then another one is opened.
    pub fn join(&self, amount: Won, now: Timestamp) -> Option<Episode> {
        let sound = self.closed_at.is_none() && self.last_at <= now + AHEAD;
        let amount = self.amount.plus(amount).ok().filter(|_| sound)?;
        Some(Episode {
            last_at: now,
            alerts: self.alerts.checked_add(1)?,
            amount,
            ..self.clone()
        })
    }

    pub fn next(&self, pace: &Pace, now: Timestamp) -> Next {
        let untold = self.told < self.alerts;
        if self.closed_at.is_some() {
            return if untold { Next::Over } else { Next::Nothing };
        }
        let over = self.last_at + pace.quiet;
        if now >= over {
            return if self.alerts == 1 {
                Next::CloseInSilence
            } else {
                Next::Over
            };
        }
        let due = self.told_at + pace.after(self.summaries);
        match (untold, due <= now) {
            (true, true) => Next::Summary,
            // Without news there is no summary, however long the last one is ago.
            (false, true) => Next::Wait(over),
            (_, false) => Next::Wait(over.min(due)),
        }
    }

    /// With all of it told by a summary.
    pub fn summed_up(&self, now: Timestamp) -> Episode {
        Episode {
            summaries: self.summaries.saturating_add(1),
            ..self.all_told(now)
        }
    }

    /// With all of it told, and closed.
    pub fn ended(&self, now: Timestamp) -> Episode {
        Episode {
            closed_at: self.closed_at.or(Some(now)),
            ..self.all_told(now)
        }
    }

    fn all_told(&self, now: Timestamp) -> Episode {
        Episode {
            told: self.alerts,
            told_amount: self.amount,
            told_at: now,
            ..self.clone()
        }
    }

    /// How many alerts no message has told yet, and what they are about.
    pub fn fresh(&self) -> (i64, Won) {
        let amount = self.amount.minus(self.told_amount).unwrap_or_default();
        (self.alerts.saturating_sub(self.told), amount)
    }
}

/// One alert of many, by the name under which a person finds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    pub imp_uid: Option<ImpUid>,
    /// The dead letter on whose page somebody can act.
    pub job_id: Option<i64>,
    pub amount: Option<Won>,
}

/// What a summary says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    pub episode: i64,
    pub subject: String,
    pub since: Timestamp,
    /// Since the last message.
    pub fresh: i64,
    pub fresh_amount: Won,
    /// Since the first alert, that one included.
    pub all: i64,
    pub amount: Won,
    /// What most of the newest have to say.
    pub error: String,
    /// The newest, a few of them.
    pub named: Vec<Named>,
}

/// What has become of that which an episode was about. Each counts once, however often it was told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fates {
    /// Went through after all.
    pub done: i64,
    pub under_way: i64,
    /// Waits for a person.
    pub waiting: i64,
    pub waiting_amount: Won,
}

/// What the last message of an episode says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Over {
    pub episode: i64,
    pub subject: String,
    pub since: Timestamp,
    /// When the last alert came.
    pub until: Timestamp,
    /// Of all, those that no summary told.
    pub fresh: i64,
    pub all: i64,
    pub amount: Won,
    pub fates: Fates,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PACE: Pace = Pace {
        first: Duration::from_secs(300),
        second: Duration::from_secs(1_800),
        later: Duration::from_secs(3_600),
        quiet: Duration::from_secs(600),
    };

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_786_000_000 + second).unwrap()
    }

    fn won(won: i64) -> Won {
        Won::new(won)
    }

    #[test]
    fn the_first_summary_comes_soon_and_the_later_ones_rarely() {
        let mut episode = Episode::open(won(1_000), at(0));
        assert_eq!(episode.next(&PACE, at(0)), Next::Wait(at(300)));
        let mut told = Vec::new();
        for second in 1..=4 * 3_600 {
            if second % 60 == 0 {
                episode = episode.join(won(1_000), at(second)).unwrap();
            }
            if episode.next(&PACE, at(second)) == Next::Summary {
                told.push((second / 60, episode.fresh().0));
                episode = episode.summed_up(at(second));
            }
        }
        assert_eq!(told, [(5, 5), (35, 30), (95, 60), (155, 60), (215, 60)]);
    }

    #[test]
    fn without_news_there_is_no_summary_and_after_a_while_it_is_over() {
        let episode = Episode::open(won(1), at(0)).join(won(2), at(200)).unwrap();
        assert_eq!(episode.next(&PACE, at(300)), Next::Summary);
        let told = episode.summed_up(at(300));
        assert_eq!(told.next(&PACE, at(301)), Next::Wait(at(800)));
        assert_eq!(told.next(&PACE, at(800)), Next::Over);
        let ended = told.ended(at(800));
        assert_eq!(ended.next(&PACE, at(9_000)), Next::Nothing);
        assert_eq!(ended.join(won(1), at(801)), None);
    }

    #[test]
    fn an_episode_of_one_alert_ends_in_silence() {
        let episode = Episode::open(won(1), at(0));
        assert_eq!(episode.next(&PACE, at(300)), Next::Wait(at(600)));
        assert_eq!(episode.next(&PACE, at(600)), Next::CloseInSilence);
        assert_eq!(episode.ended(at(600)).next(&PACE, at(600)), Next::Nothing);
    }

    #[test]
    fn what_was_closed_early_is_still_told() {
        let episode = Episode::open(won(1), at(0)).join(won(2), at(10)).unwrap();
        let closed = Episode {
            closed_at: Some(at(20)),
            ..episode
        };
        assert_eq!(closed.next(&PACE, at(20)), Next::Over);
        assert_eq!(closed.ended(at(30)).closed_at, Some(at(20)));
    }

    #[test]
    fn a_clock_that_was_set_back_and_a_sum_out_of_range_open_another() {
        let episode = Episode::open(won(i64::MAX), at(86_400));
        assert_eq!(episode.join(won(0), at(0)), None);
        assert_eq!(episode.join(won(1), at(86_400)), None);
        assert!(episode.join(won(0), at(86_400 - 60)).is_some());
    }

    proptest! {
        /// However alerts come, each is told once, the amounts to the won, and seldom.
        #[test]
        fn every_alert_is_told_once_and_messages_are_few(
            gaps in prop::collection::vec((0i64..900, 0i64..1_000_000), 0..60),
            late in 0i64..120,
        ) {
            let (mut second, mut came) = (0, vec![(0, 500)]);
            for (gap, amount) in gaps {
                second += gap;
                came.push((second, amount));
            }
            let mut open: Option<(Episode, Timestamp)> = None;
            let mut messages: Vec<(i64, i64, i64)> = Vec::new();
            let mut coming = came.iter().peekable();
            let mut second = 0;
            // Second by second, as the worker does it: it looks when it said it would, or late.
            while coming.peek().is_some() || open.is_some() {
                while let Some((_, amount)) = coming.next_if(|(when, _)| *when <= second) {
                    open = match open {
                        Some((episode, look)) => {
                            Some((episode.join(won(*amount), at(second)).unwrap(), look))
                        }
                        None => {
                            messages.push((second, 1, *amount));
                            Some((Episode::open(won(*amount), at(second)), at(second)))
                        }
                    };
                }
                if let Some((episode, look)) = &open && *look <= at(second) {
                    let (fresh, amount) = episode.fresh();
                    open = match episode.next(&PACE, at(second)) {
                        Next::Wait(until) => {
                            prop_assert!(until > at(second));
                            Some((episode.clone(), until + Duration::from_secs(late as u64)))
                        }
                        Next::Summary => {
                            prop_assert!(fresh > 0);
                            messages.push((second, fresh, amount.get()));
                            Some((episode.summed_up(at(second)), at(second)))
                        }
                        Next::Over => {
                            messages.push((second, fresh, amount.get()));
                            None
                        }
                        Next::CloseInSilence => {
                            prop_assert_eq!(episode.alerts, 1);
                            None
                        }
                        Next::Nothing => {
                            prop_assert!(false, "an open episode always has something to do");
                            None
                        }
                    };
                }
                second += 1;
            }
            let told: i64 = messages.iter().map(|(_, fresh, _)| fresh).sum();
            prop_assert_eq!(told, came.len() as i64);
            let sum: i64 = messages.iter().map(|(_, _, amount)| amount).sum();
            prop_assert_eq!(sum, came.iter().map(|(_, amount)| amount).sum::<i64>());
            // At worst a summary, the end, a new first alert, and that one's first summary.
            for few in messages.windows(4) {
                prop_assert!(few[3].0 - few[0].0 >= 300, "{:?}", messages);
            }
        }
    }
}
