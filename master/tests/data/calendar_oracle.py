#!/usr/bin/env python3
"""What docs/SCHEDULING.md promises, found by brute force: every minute of two years in twelve zones.

    python3 master/tests/data/calendar_oracle.py > master/tests/data/calendar_oracle.txt

Nothing of it is ours: zones are Python's zoneinfo (the system's tzdata), days of a month its calendar
module. There is no search in it: it walks all minutes and holds the wall clock against the rule. The
Rust test `engine/tests/oracle.rs` compares our calendar with every line.

A line is `kind|zone|from|until|rule|runs`; from and until are minutes since 1970 (UTC), runs are
`first+stepxcount` (seconds for `cron`, minutes for `day` and `hour`) counted from `from`.
"""

import calendar
import random
import sys
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

# Two years with changes of the clock, or the last ones that the zone had.
ZONES = {
    "Australia/Lord_Howe": 2026,  # by half an hour
    "Pacific/Apia": 2011,  # a day that never was
    "Asia/Shanghai": 1990,
    "America/New_York": 2026,
    "Europe/London": 2026,
    "America/Sao_Paulo": 2017,  # midnight is left out
    "Africa/Casablanca": 2026,  # four changes a year
    "Asia/Kathmandu": 1985,  # a quarter of an hour, once
    "Australia/Sydney": 2026,
    "America/St_Johns": 2010,  # at one minute past midnight
    "Asia/Tehran": 2021,
    "Antarctica/Troll": 2026,  # by two hours
}

# Fixed times, in and beside what spring leaves out and autumn repeats; all of the two years.
SPARSE = [
    "30 2 * * *", "0 0 * * *", "1 0 * * *", "15 1 * * *", "45 1 * * SUN", "0 3 * * MON-FRI",
    "59 23 L * *", "0 0 1 * *", "30 0 15W * *", "0 9 1W * *", "0 2 * * SUN#1", "30 1 * * 0#L",
    "10 2 * * SUN#2", "30 2 29 2 ?", "0 12 13 * FRI", "15 2 ? MAR,APR,OCT,NOV 7", "30 15 2 * * *",
    "0 0 L 2,12 *",
]
# Intervals; around every change of the clock, and on days drawn by lot.
DENSE = [
    "*/15 * * * *", "0 * * * *", "*/20 1-3 * * *", "0,30 2 * * *", "30 0-4 * * *", "7/13 */2 * * *",
    "5-10 0 * * *", "* 2 * * SUN", "*/25 59 */3 * * *", "0 0,30 0,1,2,3 * * ?",
]
EVERY = {"@every 90m": 5_400, "@every 7h": 25_200, "@every 45s": 45}

MONTHS = {name.upper(): i for i, name in enumerate(calendar.month_abbr) if name}
DAYS = {"SUN": 0, "MON": 1, "TUE": 2, "WED": 3, "THU": 4, "FRI": 5, "SAT": 6}


def values(text, low, high, names=()):
    """The numbers that a field names."""
    found = set()
    for part in text.split(","):
        part, _, step = part.partition("/")
        number = lambda word: names[word] if word in names else int(word)
        if part in ("*", "?"):
            first, last = low, high
        elif "-" in part:
            first, last = map(number, part.split("-"))
        else:
            first = number(part)
            last = high if step else first
        found |= set(range(first, last + 1, int(step or 1)))
    return found


class Rule:
    def __init__(self, text):
        fields = text.split()
        if len(fields) == 5:
            fields = ["0"] + fields
        self.seconds, self.minutes = values(fields[0], 0, 59), values(fields[1], 0, 59)
        self.hours = values(fields[2], 0, 23)
        self.day, self.week = fields[3], fields[5]
        self.months = values(fields[4], 1, 12, MONTHS)
        self.fixed = len(self.seconds) == len(self.minutes) == len(self.hours) == 1
        self.of_day = {h * 60 + m for h in self.hours for m in self.minutes}
        self.dates = {}

    def on(self, date):
        if date not in self.dates:
            self.dates[date] = date.month in self.months and self.day_fits(date)
        return self.dates[date]

    def day_fits(self, date):
        """Day of month or weekday; one that is free says nothing."""
        free = lambda text: text in ("*", "?")
        if free(self.day) or free(self.week):
            return (free(self.day) or self.in_month(date)) and (free(self.week) or self.in_week(date))
        return self.in_month(date) or self.in_week(date)

    def in_month(self, date):
        last = calendar.monthrange(date.year, date.month)[1]
        if self.day == "L":
            return date.day == last
        if self.day.endswith("W"):
            wanted = int(self.day[:-1])
            if wanted > last:
                return False
            # The nearest Monday to Friday of the same month.
            near = [d for d in range(1, last + 1) if date.replace(day=d).weekday() < 5]
            return date.day == min(near, key=lambda d: (abs(d - wanted), d))
        return date.day in values(self.day, 1, 31)

    def in_week(self, date):
        today = date.isoweekday() % 7
        if "#" in self.week:
            day, nth = self.week.split("#")
            if DAYS.get(day, int(day) if day.isdigit() else None) != today:
                return False
            last = calendar.monthrange(date.year, date.month)[1]
            return date.day + 7 > last if nth == "L" else (date.day + 6) // 7 == int(nth)
        return today in {day % 7 for day in values(self.week, 0, 7, DAYS)}


class Clock:
    """All minutes of two years with what a clock on the wall shows."""

    def __init__(self, zone):
        info = ZoneInfo(zone)
        self.first, self.last = span(zone)
        self.shown, self.by_minute = [], {}
        self.left_out, self.again = [], []  # what jumps leave out; what they let come again
        before = None
        for minute in range(self.first, self.last):
            local = datetime.fromtimestamp(minute * 60, info).replace(tzinfo=None, fold=0)
            if before is not None and local > before + timedelta(minutes=1):
                self.left_out.append((minute, before + timedelta(minutes=1), local))
            if before is not None and local <= before:
                self.again.append((minute, before))
            comes_again = any(since <= minute and local <= until for since, until in self.again)
            self.shown.append((minute, local))
            of_day = local.hour * 60 + local.minute
            self.by_minute.setdefault(of_day, []).append((minute, local.date(), comes_again))
            before = local

    def part(self, from_minute, until_minute):
        return self.shown[from_minute - self.first:until_minute - self.first]


def fires(rule, clock, from_minute, until_minute):
    """Seconds since `from_minute` at which the rule fires."""
    found = []
    for of_day in rule.of_day:
        for minute, date, again in clock.by_minute.get(of_day, []):
            if from_minute <= minute < until_minute and not (rule.fixed and again) and rule.on(date):
                found += [(minute - from_minute) * 60 + second for second in rule.seconds]
    for minute, skipped, until in clock.left_out:
        # A fixed time that was left out fires at the end of what was left out.
        while rule.fixed and from_minute <= minute < until_minute and skipped < until:
            if skipped.hour * 60 + skipped.minute in rule.of_day and rule.on(skipped.date()):
                found.append((minute - from_minute) * 60)
            skipped += timedelta(minutes=1)
    return sorted(set(found))


def span(zone):
    year = ZONES[zone]
    minute = lambda y, m, d: int(datetime(y, m, d, tzinfo=timezone.utc).timestamp()) // 60
    return minute(year - 1, 12, 20), minute(year + 2, 1, 10)


def runs(numbers):
    """first+stepxcount; what follows at one distance is one run."""
    parts, at = [], 0
    while at < len(numbers):
        count = 1
        if at + 1 < len(numbers):
            step = numbers[at + 1] - numbers[at]
            while at + count < len(numbers) and numbers[at + count] - numbers[at + count - 1] == step:
                count += 1
        parts.append(f"{numbers[at]}+{step}x{count}" if count > 2 else str(numbers[at]))
        at += count if count > 2 else 1
    return ",".join(parts)


def line(kind, zone, window, rule, numbers):
    print("|".join([kind, zone, str(window[0]), str(window[1]), rule, runs(numbers)]))


def boundaries(minutes, key):
    """Minutes at which something else begins, the first one not counted."""
    found, before = [], None
    for minute, local in minutes:
        now = key(minute, local)
        if before is not None and now != before:
            found.append(minute)
        before = now
    return found


def of_zone(zone, lot):
    clock = Clock(zone)
    first, last = clock.first + 3 * 24 * 60, clock.last - 24 * 60
    offset = lambda minute, local: (local - datetime(1970, 1, 1)) // timedelta(minutes=1) - minute
    changes = boundaries(clock.part(first, last), offset)
    windows = [(at - 30 * 60, at + 30 * 60) for at in changes]
    windows += [(at, at + 24 * 60) for at in (lot.randrange(first, last - 24 * 60) for _ in range(4))]
    windows = [(max(first, a), min(last, b)) for a, b in windows]
    for text in SPARSE:
        line("cron", zone, (first, last), text, fires(Rule(text), clock, first, last))
    for window in windows:
        for text in DENSE:
            line("cron", zone, window, text, fires(Rule(text), clock, *window))
        for text, rate in EVERY.items():
            start, end = window[0] * 60, window[1] * 60
            line("cron", zone, window, text, [at - start for at in range(start, end) if at % rate == 0])
        # An hour: as long as date, hour and offset are the same.
        key = lambda minute, local: (local.date(), local.hour, offset(minute, local))
        line("hour", zone, window, "", [at - window[0] for at in boundaries(clock.part(*window), key)])
    # A day: from the first minute that shows it to the first that shows a later one.
    latest, days = None, []
    for minute, local in clock.part(first, last):
        if latest is not None and local.date() > latest:
            days.append(minute - first)
        latest = max(latest or local.date(), local.date())
    line("day", zone, (first, last), "", days)


def main():
    lot = random.Random(20261129)
    print("# made by calendar_oracle.py: do not edit")
    for zone in ZONES:
        of_zone(zone, lot)
        print(zone, file=sys.stderr)


main()
