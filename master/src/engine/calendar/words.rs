//! A rule in words, English and Chinese: what stands beside its text on the pages.

use super::{Cron, Rule};
use shared::ids::Millis;

/// The rule in English words.
pub fn describe(cron: &Cron) -> String {
    match &cron.0 {
        Rule::Fields(fields) => fields.cron.describe(),
        Rule::Every(rate) => format!("Every {}", in_units(*rate)),
    }
}

fn in_units(rate: Millis) -> String {
    let seconds = rate / 1_000;
    let units = [(86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")];
    let (mut rest, mut all) = (seconds, String::new());
    for (size, unit) in units {
        if rest >= size {
            all.push_str(&format!("{}{unit}", rest / size));
            rest %= size;
        }
    }
    all
}

/// The rule in Chinese words: day, then time.
pub fn describe_zh(cron: &Cron) -> String {
    let pattern = match &cron.0 {
        Rule::Fields(fields) => &fields.cron.pattern,
        Rule::Every(rate) => return format!("每 {}", in_units(*rate)),
    };
    let text = pattern.as_str().to_uppercase();
    let mut fields: Vec<&str> = text.split_whitespace().collect();
    if fields.len() == 5 {
        fields.insert(0, "0");
    }
    // A nickname (@daily) has no fields to put into words.
    let [_, minute, _, days, months, weekdays] = fields[..] else { return describe(cron) };
    let month = list(&pattern.months.values());
    let by_date = || day_words(days, &pattern.days.values());
    let by_weekday = || weekday_words(weekdays, &pattern.days_of_week.values());
    let between = if pattern.matches_dom_and_dow() { "且" } else { "或" };
    let day = match (pattern.is_dom_wildcard(), pattern.is_dow_wildcard()) {
        (false, false) => format!("{}{between}{}", by_date(), by_weekday()),
        (false, true) => by_date(),
        (true, false) => by_weekday(),
        (true, true) => "每天".into(),
    };
    let month = if months == "*" { String::new() } else { format!("{month}月") };
    let time = time_words(
        minute,
        &pattern.hours.values(),
        &pattern.minutes.values(),
        &pattern.seconds.values(),
    );
    format!("{month}{day} {time}")
}

fn list(values: &[u16]) -> String {
    let texts: Vec<String> = values.iter().map(u16::to_string).collect();
    texts.join("、")
}

fn day_words(text: &str, days: &[u16]) -> String {
    match text {
        "L" => "每月最后一天".into(),
        "LW" => "每月最后一个工作日".into(),
        _ if text.contains(['L', 'W']) => format!("每月 {text}"),
        _ => format!("每月{}日", list(days)),
    }
}

fn weekday_words(text: &str, weekdays: &[u16]) -> String {
    const NAMES: [&str; 7] = ["日", "一", "二", "三", "四", "五", "六"];
    if text.contains(['L', '#']) {
        return format!("每月中的星期 {text}");
    }
    let days: Vec<&str> = weekdays.iter().map(|&day| NAMES[usize::from(day) % 7]).collect();
    format!("每周{}", days.join("、"))
}

fn time_words(minute_text: &str, hours: &[u16], minutes: &[u16], seconds: &[u16]) -> String {
    match (hours, minutes, seconds) {
        (&[h], &[m], &[0]) => return format!("{h:02}:{m:02}"),
        (&[h], &[m], &[s]) => return format!("{h:02}:{m:02}:{s:02}"),
        (hours, &[m], &[0]) if hours.len() <= 6 => {
            let at: Vec<String> = hours.iter().map(|h| format!("{h:02}:{m:02}")).collect();
            return at.join("、");
        }
        _ => {}
    }
    let hour = match hours.len() {
        24 => "每小时".to_owned(),
        _ => format!("{}时", list(hours)),
    };
    let minute = match minute_text.strip_prefix("*/") {
        Some(step) => format!("每 {step} 分钟"),
        None if minutes.len() == 60 => "每分钟".to_owned(),
        None => format!("第 {} 分", list(minutes)),
    };
    let second = match seconds {
        [0] => String::new(),
        _ if seconds.len() == 60 => "每秒".to_owned(),
        _ => format!("第 {} 秒", list(seconds)),
    };
    format!("{hour}{minute}{second}")
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    #[test]
    fn rules_in_words() {
        for (text, zh, en) in [
            ("30 2 * * *", "每天 02:30", "At 02:30."),
            ("0 8 * * 1-5", "每周一、二、三、四、五 08:00", "At 08:00, on"),
            ("0 0 L * *", "每月最后一天 00:00", "At 00:00, on the last day"),
            ("15 1 1,15 * ?", "每月1、15日 01:15", "At 01:15, on day 1"),
            ("*/5 * * * *", "每天 每小时每 5 分钟", "At every 5 minutes."),
            ("@every 1h30m", "每 1h30m", "Every 1h30m"),
            ("0 8 1 3 *", "3月每月1日 08:00", "At 08:00, on day 1"),
        ] {
            let cron = parse(text).unwrap();
            assert_eq!(describe_zh(&cron), zh, "{text}");
            assert!(describe(&cron).starts_with(en), "{text}: {}", describe(&cron));
        }
    }
}
