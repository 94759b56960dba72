"""The trading sessions of the tables against the Python packages exchange_calendars and holidays.

    calendar_witness.py compare [XSHG,2027 …] < SESSIONS
                                                every session with exchange_calendars (dates, opens, breaks, closes), every
                                                closure and half day with holidays; ends with 1 on a difference. The years
                                                named are those of a notice, besides FROM_NOTICE
    calendar_witness.py draft XSHG 2027         the lines of a year, to be read and put into a table by a person; ends with
                                                1 if they are only a guess

SESSIONS is what the test of the same name writes: exchange,date,open,break_start,break_end,close in UTC for each
session, and exchange,year for each year of a table.

The tables were drafted from exchange_calendars and corrected by hand, so that it is the nearer witness. holidays is a
work of other people, and the only one with Singapore's half days.
"""

import re
import sys
from collections import Counter
from datetime import date, datetime, time, timedelta, timezone
from functools import cache
from zoneinfo import ZoneInfo

import exchange_calendars
import holidays

# Years that a person entered from a notice of the exchange before exchange_calendars held them, and the notice. They are
# compared with nothing. A year that the package holds by now does not belong here any more, which is a difference too.
FROM_NOTICE = {}

# The last year that anybody may ask for.
HORIZON = 2035

# The exchanges that go by another name there, in exchange_calendars and in holidays.
THERE = {"XNAS": "XNYS", "XSHE": "XSHG"}
NAMES = {"XTKS": "JPX", "XNAS": "XNYS", "XSHE": "XSHG"}

# What neither package has of Singapore, in wall time.
SINGAPORE_HALF_DAY = time(12, 0)
SINGAPORE_LUNCH = (time(12, 0), time(13, 0))

NO_LUNCH = "exchange_calendars has no lunch break for Singapore, which has one since 2017-11-13"
NO_HALF_DAYS = "exchange_calendars has no half days for Singapore; holidays has them"
NOT_THERE = "exchange_calendars ends with 2026 for Singapore; holidays goes on"
AUCTION = "exchange_calendars closes Sydney's half days at 14:10, the time of the closing auction; trading ends 14:00"
NO_LAST_DAY = "holidays has no half days for Xetra, whose last trading day ends at 14:00"
# Each difference that is allowed, with its reason. One that is not met any more is a difference too.
ALLOWED = [NO_LUNCH, NO_HALF_DAYS, NOT_THERE, AUCTION, NO_LAST_DAY]


@cache
def last_year(name):
    """The last year that exchange_calendars holds."""
    bound = exchange_calendars.get_calendar(name).bound_max()
    return min(bound.year, HORIZON) if bound is not None else HORIZON


@cache
def calendar(name):
    return exchange_calendars.get_calendar(name, start="2020-01-01", end=f"{last_year(name)}-12-31")


def is_held(mic, year):
    """Whether exchange_calendars holds the year."""
    return year <= last_year(THERE.get(mic, mic))


def sessions(mic, year):
    """The sessions of a year as exchange_calendars has them: {date: (open, break_start, break_end, close)} in UTC."""

    def instant(value):
        return None if str(value) == "NaT" else value.to_pydatetime().astimezone(timezone.utc)

    schedule = calendar(THERE.get(mic, mic)).schedule.loc[f"{year}-01-01" : f"{year}-12-31"]
    columns = ["open", "break_start", "break_end", "close"]
    return {row[0].date(): tuple(instant(value) for value in row[1:]) for row in schedule[columns].itertuples()}


def named_days(mic, year):
    """The days of a year that holidays names: {date: (name, whether it is a half day)}."""
    found = {}
    supported = holidays.financial_holidays(NAMES.get(mic, mic)).supported_categories
    for category in ("half_day", "public"):
        if category in supported:
            days = holidays.financial_holidays(NAMES.get(mic, mic), years=year, categories=(category,))
            found.update({day: (name, category == "half_day") for day, name in days.items()})
    return found


def weekdays(year):
    first = date(year, 1, 1)
    days = (first + timedelta(days=n) for n in range(366))
    return [day for day in days if day.year == year and day.weekday() < 5]


# --- Compare ----------------------------------------------------------------------------------------------------------


def expected(mic, year, used):
    """What the packages expect of a year, the allowed differences made good; None if neither knows the year."""
    if mic == "XSES":
        return expected_of_singapore(year, used)
    if not is_held(mic, year):
        return None
    rows = sessions(mic, year)
    if mic == "XASX":
        zone = ZoneInfo("Australia/Sydney")
        for day, (opening, _, _, close) in rows.items():
            if close.astimezone(zone).time() == time(14, 10):
                rows[day] = (opening, None, None, close - timedelta(minutes=10))
                used[AUCTION] += 1
    return rows


def expected_of_singapore(year, used):
    zone = ZoneInfo("Asia/Singapore")
    named = named_days("XSES", year)

    def utc(day, wall):
        return datetime.combine(day, wall, zone).astimezone(timezone.utc)

    if not is_held("XSES", year):
        closed = {day for day, (_, is_half) in named.items() if not is_half}
        rows = {
            day: (utc(day, time(9, 0)), None, None, utc(day, time(17, 0)))
            for day in weekdays(year)
            if day not in closed
        }
        used[NOT_THERE] += len(rows)
    else:
        rows = sessions("XSES", year)
    for day, (opening, _, _, close) in rows.items():
        if named.get(day, ("", False))[1]:
            rows[day] = (opening, None, None, utc(day, SINGAPORE_HALF_DAY))
            used[NO_HALF_DAYS] += 1
        else:
            rows[day] = (opening, *(utc(day, wall) for wall in SINGAPORE_LUNCH), close)
            used[NO_LUNCH] += 1
    return rows


def read_tables(lines):
    """{exchange: {year: {date: session}}} of the tables."""
    tables = {}
    for line in lines:
        mic, when, *edges = line.strip().split(",")
        years = tables.setdefault(mic, {})
        if not edges:
            years[int(when)] = {}
            continue
        day = date.fromisoformat(when)
        instants = (datetime.fromisoformat(edge.replace("Z", "+00:00")) if edge else None for edge in edges)
        years[day.year][day] = tuple(instants)
    return tables


def told(session):
    return "closed" if session is None else " ".join(f"{edge:%H:%M}" if edge else "-" for edge in session)


def half_days(mic, rows):
    """The sessions that end early. A close that is rare is an early one; hours that change within a year are not."""
    zone = ZoneInfo(calendar(THERE.get(mic, mic)).tz.key)
    closes = {day: row[3].astimezone(zone).time() for day, row in rows.items()}
    counts = Counter(closes.values())
    return {day: close for day, close in closes.items() if counts[close] < 10}


def compare_with_holidays(mic, year, here, compared, used):
    """Every weekday that is closed or a half day, here or in holidays."""

    def kind(is_closed, is_half):
        return "closed" if is_closed else "a half day" if is_half else "a full day"

    named, halves = named_days(mic, year), half_days(mic, here)
    for day in weekdays(year):
        _, is_half = named.get(day, ("", None))
        one, other = kind(day not in here, day in halves), kind(is_half is False, is_half)
        if mic == "XETR" and (one, other) == ("a half day", "a full day"):
            used[NO_LAST_DAY] += 1
            continue
        compared[mic, one] += 1
        if one != other:
            yield f"{mic} {day}: here {one}, in holidays {other}"


def compare(lines, more):
    differences, compared, used = [], Counter(), Counter()
    with_holidays, from_notice = Counter(), FROM_NOTICE | more
    tables = read_tables(lines)
    all_years = sorted({year for years in tables.values() for year in years})
    for mic, years in tables.items():
        for year in all_years:
            here = years.get(year)
            there = expected(mic, year, used)
            notice = from_notice.get((THERE.get(mic, mic), year))
            if here is None or there is None:
                if notice and here is not None:
                    print(f"{mic}: {year} compared with nothing: {notice}")
                elif here is not None:
                    differences.append(
                        f"{mic} {year}: a table, and no package knows that year; name its notice in FROM_NOTICE"
                    )
                elif there is not None:
                    differences.append(f"{mic} {year}: the packages know it, and there is no table")
                continue
            compared[mic] += len(there)
            for day in sorted(set(here) | set(there)):
                if here.get(day) != there.get(day):
                    differences.append(f"{mic} {day}: here {told(here.get(day))}, there {told(there.get(day))} UTC")
            differences += compare_with_holidays(mic, year, here, with_holidays, used)
    for mic, year in from_notice:
        if is_held(mic, year) or year not in tables.get(mic, {}):
            why = "exchange_calendars holds it" if is_held(mic, year) else "there is no table"
            differences.append(f"{mic} {year}: no longer needed in FROM_NOTICE, remove it: {why}")
    differences += [f"no longer needed, remove it: {reason}" for reason in ALLOWED if not used[reason]]
    for mic, count in compared.items():
        closed, half = with_holidays[mic, "closed"], with_holidays[mic, "a half day"]
        print(f"{mic}: {closed} closures and {half} half days compared with holidays")
        print(f"{mic}: {count} sessions compared")
    for reason in ALLOWED:
        print(f"allowed in {used[reason]} sessions: {reason}")
    for difference in differences:
        print(f"DIFFERENT {difference}")
    return 1 if differences or not compared else 0


# --- Draft ------------------------------------------------------------------------------------------------------------


def plain(mic, name):
    """A name as the tables write it, without what a table says by other means."""
    name = re.sub(r" \((markets close.*|Half-Day Trading Day|Spring Festival)\)", "", name)
    name = re.sub(r"Day off \(substituted from (\d\d)/(\d\d)/(\d{4})\)", r"Day off in place of \3-\1-\2", name)
    name = name.replace("Chinese New Year", "Lunar New Year")
    if mic not in ("XNYS", "XNAS"):
        name = name.replace("Labor Day", "Labour Day")
    # Holidays of the banks alone are those of Tokyo around the turn of the year.
    names = [part for part in name.split("; ") if part != "Bank Holiday"]
    return "; ".join(names) or "Holiday of the exchange at the turn of the year"


def draft(mic, year):
    named = named_days(mic, year)
    rows = expected(mic, year, Counter())
    if rows is None:
        print(f"# exchange_calendars ends before {year}. These lines are a guess of holidays, without days off in place of")
        print("# worked weekends: wait for the notice of the exchange, correct each line after it, add what is missing, and")
        print("# name the notice in FROM_NOTICE of this script.")
        print(f"# year {year} official NOTICE OF DATE")
        for day in weekdays(year):
            if day in named and not named[day][1]:
                print(f"# closed {day} {plain(mic, named[day][0])}")
        return 1
    halves = half_days(mic, rows)
    for day in weekdays(year):
        name = plain(mic, named[day][0]) if day in named else "(no package has a name for it)"
        if day not in rows:
            print(f"closed {day} {name}")
        elif day in halves:
            print(f"early {day} {halves[day]:%H:%M} {name}")
    return 0


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["compare", *years]:
            named_years = (year.split(",") for year in years)
            sys.exit(compare(sys.stdin, {(mic, int(year)): "named in the command" for mic, year in named_years}))
        case ["draft", mic, year]:
            sys.exit(draft(mic, int(year)))
        case _:
            sys.exit(__doc__)
