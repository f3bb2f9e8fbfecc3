"""What docs/data.md says of a conversion, once more: raw text and options in, sequences and their parts out.

Text is read by Python's own csv, json, ast and datetime, so that nothing is shared with srprep but the documentation."""
import ast
import collections
import csv
import datetime
import io
import json
import math
import re

Event = collections.namedtuple("Event", "user item time rating part order")
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


# ---- reading ----


def seconds_of(text, pattern):
    """A date as seconds since 1970; without an offset it is in UTC."""
    if pattern:
        moment = datetime.datetime.strptime(text, pattern)
    else:
        text = re.sub(r" ?(UTC|Z)$", "+00:00", text)
        moment = datetime.datetime.fromisoformat(re.sub(r" ?([+-]\d\d):?(\d\d)$", r"\1:\2", text))
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.timezone.utc)
    return int((moment - EPOCH).total_seconds())


def records_of_table(text, options):
    """The fields of each row, as a list, and the names of the header or None."""
    lines = text.splitlines(keepends=True)
    if options.get("comment"):
        lines = [line for line in lines if not line.startswith(options["comment"])]
    delimiter = options.get("delimiter", ",")
    if delimiter == "blanks":
        rows = [re.split(r"[ \t]+", line.strip(" \t\n")) for line in lines]
    else:
        rows = list(csv.reader(io.StringIO("".join(lines)), delimiter=delimiter))
    names = rows.pop(0) if options.get("header") else None
    return rows, names


def list_of(text, separator):
    text = text.strip()
    if text[:1] == "[" and text[-1:] == "]":
        text = text[1:-1].strip()
    elements = text.split(separator) if separator and text else text.split()
    return [element.strip().strip("'") for element in elements]


def read_table(text, options, file):
    """Yields (line, user, item, time, rating) as texts, None for what is not there."""
    rows, names = records_of_table(text, options)
    columns = {}
    for column in options["columns"].split(","):
        role, name = column.split("=")
        columns[role] = names.index(name) if names and name in names else int(name)
    for row in rows:
        chosen = True
        for where in options.get("where", []):
            name, values = where.split("=")
            place = names.index(name) if names else int(name)
            chosen = chosen and place < len(row) and row[place] in values.split(",")
        if not chosen:
            continue
        one = {role: row[columns[role]] for role in ("user", "item", "time", "rating") if role in columns}
        if "items" in columns:
            separator = options.get("list_separator")
            times = list_of(row[columns["times"]], separator) if "times" in columns else None
            for place, item in enumerate(list_of(row[columns["items"]], separator)):
                yield one.get("user"), item, times[place] if times else one.get("time"), one.get("rating")
        if "item" in columns:
            yield one.get("user"), one["item"], one.get("time"), one.get("rating")


def value_at(value, path, index):
    """The value at a path of keys; arrays on the way are gone through by the index."""
    index = list(index)
    keys = path.split(".")
    while True:
        if isinstance(value, list) and index:
            value = value[index.pop(0)]
        elif isinstance(value, dict) and keys:
            key = keys.pop(0)
            if key not in value:
                return None
            value = value[key]
        else:
            return value


def places_of(value, path, index=()):
    """The indices of all values that a path leads to."""
    keys = path.split(".") if path else []
    while isinstance(value, dict) and keys and keys[0] in value:
        value = value[keys.pop(0)]
    if not isinstance(value, list):
        return [index]
    return [place for number, element in enumerate(value) for place in places_of(element, ".".join(keys), index + (number,))]


def text_of(value):
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def user_of_line(file, number):
    return str(number) if file == 0 else "%d:%d" % (file + 1, number)


def read_objects(text, options, file):
    parse = ast.literal_eval if options["format"] == "python" else json.loads
    roles = dict(column.split("=") for column in options["columns"].split(","))
    for number, line in enumerate(text.splitlines(), 1):
        outer = parse(line)
        for index in places_of(outer, roles["item"]):
            wheres = [where.split("=") for where in options.get("where", [])]
            if not all(value_at(outer, path, index) is not None and text_of(value_at(outer, path, index)) in values.split(",")
                       for path, values in wheres):
                continue
            found = {role: value_at(outer, path, index) for role, path in roles.items()}
            if options.get("no_user"):
                found["user"] = user_of_line(file, number)
            yield tuple(None if role not in found else str(found[role]) for role in ("user", "item", "time", "rating"))


def read_words(text, options, file):
    for number, line in enumerate(text.splitlines(), 1):
        if options.get("comment") and line.startswith(options["comment"]):
            continue
        words = line.split()
        user = user_of_line(file, number) if options.get("no_user") else words.pop(0)
        for item in words[1:] if options.get("counted") else words:
            yield user, item, None, None


def read_netflix(text, options, file):
    item = None
    for line in text.splitlines():
        if line.endswith(":"):
            item = line[:-1]
        else:
            user, rating, date = line.split(",")
            yield user, item, date, rating


READERS = {"csv": read_table, "json": read_objects, "python": read_objects, "sequences": read_words, "netflix": read_netflix}


def read(texts, options):
    """All events of [(part, text)], in the order of the input."""
    events, na_values = [], options.get("na_values", "").split(",") if "na_values" in options else []
    order = 0
    for file, (part, text) in enumerate(texts):
        for user, item, time, rating in READERS[options["format"]](text, options, file):
            if any(value is not None and value in na_values for value in (user, item, time, rating)):
                continue
            if time is not None:
                is_number = re.fullmatch(r"-?\d+", time) and not options.get("time_format")
                time = int(time) if is_number else seconds_of(time, options.get("time_format"))
            events.append(Event(user, item, time, float(rating) if rating is not None else None, part, order))
            order += 1
    return events


# ---- steps ----


def by_user(events):
    users = collections.OrderedDict()
    for event in events:
        users.setdefault(event.user, []).append(event)
    return users


def counted(users):
    return collections.Counter(event.item for events in users.values() for event in events)


def keep(users, stays):
    """Users and events that stay; users without any are gone."""
    left = ((user, [event for event in events if stays(user, event)]) for user, events in users.items())
    return collections.OrderedDict((user, events) for user, events in left if events)


def cut_sessions(users, gap):
    sessions = collections.OrderedDict()
    for user, events in users.items():
        number, last = 0, None
        for event in events:
            if last is None or event.time - last > gap:
                number += 1
            last = event.time
            sessions.setdefault("%s#%d" % (user, number), []).append(event)
    return sessions


def deduplicate(events, which):
    if which == "consecutive":
        return [event for place, event in enumerate(events) if place == 0 or events[place - 1].item != event.item]
    if which not in ("first", "last"):
        return events
    chosen = {}
    for event in events if which == "last" else reversed(events):
        chosen[event.item] = event
    return [event for event in events if chosen[event.item] is event]


def cap(users, options):
    most_user, most_item = options.get("max_user", math.inf), options.get("max_item", math.inf)
    items = counted(users)
    return keep(users, lambda user, event: len(users[user]) <= most_user and items[event.item] <= most_item)


def core(users, options):
    least_user, least_item = options.get("min_user", 0), options.get("min_item", 0)
    while True:
        items = counted(users)
        left = keep(users, lambda user, event: len(users[user]) >= least_user and items[event.item] >= least_item)
        if sum(map(len, left.values())) == sum(map(len, users.values())):
            return left
        users = left


def moments(values, shares):
    """The values behind which the shares end."""
    values, sums = sorted(values), (shares[0], shares[0] + shares[1])
    return [values[int(s * len(values) + 1e-9)] if int(s * len(values) + 1e-9) < len(values) else values[-1] + 1 for s in sums]


def splitter(users, options):
    """A function from the events of a user to where training and validation end."""
    kind, _, rest = options.get("split", "leave-one-out").partition(":")
    has_times = next(iter(users.values()))[0].time is not None
    last = lambda events: events[-1].time if has_times else min(event.order for event in events)
    before = lambda events, limit: sum(event.time < limit for event in events)
    if kind == "given":
        return lambda events: (sum(e.part == "train" for e in events), sum(e.part != "test" for e in events))
    if kind == "leave-one-out":
        held_out = 1 if rest == "test" else 2
        return lambda events: (len(events) - held_out, len(events) - 1) if len(events) >= 3 else (len(events),) * 2
    numbers = [float(number) if "." in number else int(number) for number in rest.split(",")]
    if kind == "ratio":
        def by_ratio(events):
            train = min(max(int(numbers[0] * len(events) + 1e-9), 1), len(events))
            return train, min(max(int((numbers[0] + numbers[1]) * len(events) + 1e-9), train), len(events))
        return by_ratio
    if kind == "time-quantile":
        numbers = moments([event.time for events in users.values() for event in events], numbers)
    if kind == "sessions" and len(numbers) == 3:
        numbers = moments([last(events) for events in users.values()], numbers)
    if kind == "sessions":
        return lambda events: tuple(len(events) if last(events) < limit else 0 for limit in numbers)
    return lambda events: (before(events, numbers[0]), before(events, numbers[1]))


def drop_cold(users, ends, options):
    cold, is_whole = options.get("cold", "keep"), options.get("split", "").startswith("sessions")
    trained = {event.item for user, events in users.items() for event in events[:ends[user][0]]}
    left = collections.OrderedDict()
    for user, events in users.items():
        train, valid = ends[user]
        parts = ["train"] * train + ["valid"] * (valid - train) + ["test"] * (len(events) - valid)
        if cold in ("drop", "users") and train == 0 and not is_whole:
            continue
        kept = [(event, part) for event, part in zip(events, parts)
                if part == "train" or cold not in ("drop", "items") or event.item in trained]
        if kept:
            left[user] = kept
    return left


class Contradiction(Exception):
    """The parts of a given split contradict the time stamps."""


def convert(texts, options):
    """Rows (user, item, time, part) in the order of the data set; [] if nothing is left."""
    events = read(texts, options)
    if "min_rating" in options:
        events = [event for event in events if event.rating >= options["min_rating"]]
    if "after" in options:
        events = [event for event in events if event.time >= options["after"]]
    if "before" in options:
        events = [event for event in events if event.time < options["before"]]
    users = by_user(events)
    for list_of_user in users.values():
        list_of_user.sort(key=lambda event: event.order if event.time is None else (event.time, event.order))
    if "session_gap" in options:
        users = cut_sessions(users, options["session_gap"])
    if options.get("split") == "given":
        for list_of_user in users.values():
            list_of_user.sort(key=lambda event: ("train", "valid", "test").index(event.part))
            times = [event.time for event in list_of_user]
            if times[0] is not None and times != sorted(times):
                raise Contradiction
    users = collections.OrderedDict((user, deduplicate(list_of_user, options.get("deduplicate"))) for user, list_of_user in users.items())
    users = core(cap(users, options), options)
    if "max_length" in options:
        users = collections.OrderedDict((user, list_of_user[-options["max_length"]:]) for user, list_of_user in users.items())
    if not users:
        return []
    split = splitter(users, options)
    left = drop_cold(users, {user: split(list_of_user) for user, list_of_user in users.items()}, options)
    order = sorted(left, key=lambda user: min(event.order for event, part in left[user]))
    return [(user, event.item, event.time, part) for user in order for event, part in left[user]]
