//! Which periods of another interface a wait may stand for.

use shared::period::Granularity;
use shared::spec::PeriodMap;

/// Periods that one wait may stand for: a month of hours, a day of minutes.
pub const PERIODS_MAX: u32 = 1_500;

/// What makes no sense between two granularities.
pub fn map_problem(own: Granularity, target: Granularity, map: PeriodMap) -> Option<String> {
    let minutes = |granularity| match granularity {
        Granularity::Minute => 1,
        Granularity::Hour => 60,
        Granularity::Day => 1_440,
        Granularity::Week => 10_080,
        Granularity::Month => 44_640,
    };
    let within: u32 = minutes(own) / minutes(target);
    match map {
        PeriodMap::AllWithin | PeriodMap::LastWithin if target >= own => Some(format!(
            "all_within and last_within are for a target of a finer granularity; {} is not finer \
             than {}",
            word(target),
            word(own)
        )),
        PeriodMap::Same | PeriodMap::AllWithin if within > PERIODS_MAX => Some(format!(
            "one {} has {within} periods of {}; a wait stands for at most {PERIODS_MAX}: wait for \
             last_within, or put an interface of a granularity between them",
            word(own),
            word(target)
        )),
        PeriodMap::Previous(0) => Some("previous counts from 1".into()),
        PeriodMap::Previous(count) if count > PERIODS_MAX => {
            Some(format!("a wait stands for at most {PERIODS_MAX} periods"))
        }
        PeriodMap::Offset(steps) if steps.unsigned_abs() > PERIODS_MAX => {
            Some(format!("an offset is at most {PERIODS_MAX} periods"))
        }
        _ => None,
    }
}

fn word(granularity: Granularity) -> &'static str {
    match granularity {
        Granularity::Minute => "minute",
        Granularity::Hour => "hour",
        Granularity::Day => "day",
        Granularity::Week => "week",
        Granularity::Month => "month",
    }
}
