"""Random conversions by srprep are those of conversion_model.py: test_conversions.py SRPREP COUNT [SEED [MPIEXEC...]]."""
import collections
import csv
import datetime
import io
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile

import conversion_model

START = 1400000000
PATTERNS = ["%m/%d/%Y %H:%M:%S", "%d.%m.%Y %H:%M:%S", "%a %b %d %H:%M:%S %z %Y", "%m/%d/%Y %I:%M:%S %p", "%Y%m%dT%H%M%S"]


# ---- made-up data ----


def made_up(draw):
    """Rows (user, item, time, rating, kind); times have ties."""
    users, items = draw.randint(1, 12), draw.randint(1, 15)
    step = draw.choice([1, 60, 4000])
    return [("u%d" % draw.randrange(users), "i%d" % min(draw.randrange(items), draw.randrange(items)), START + step * draw.randrange(60),
             draw.randint(1, 5), draw.choice(["view", "cart", "buy"])) for _ in range(draw.randint(1, 120))]


def written_time(draw, time, options):
    kind = options["times"]
    if kind in ("none", "number"):
        return str(time)
    moment = datetime.datetime.fromtimestamp(time, datetime.timezone.utc)
    if kind == "iso":
        shifted = moment.astimezone(datetime.timezone(datetime.timedelta(hours=2)))
        return draw.choice([moment.strftime("%Y-%m-%d %H:%M:%S"), moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
                            moment.strftime("%Y-%m-%d %H:%M:%S UTC"), moment.strftime("%Y-%m-%d %H:%M:%S +0000"),
                            shifted.strftime("%Y-%m-%dT%H:%M:%S+02:00")])
    return moment.strftime(options["time_format"])


def rename_where(options, name):
    """Options of --where say kind=...; the column has another name."""
    where = [where.replace("kind", name) for where in options.pop("where", [])]
    if where:
        options["where"] = where


def lay_out_table(draw, options):
    """The columns of format csv, in any order."""
    names = ["user", "item", "rating", "kind"] + (["time"] if options["times"] != "none" else [])
    draw.shuffle(names)
    column = {name: name if options.get("header") else str(place) for place, name in enumerate(names)}
    options["columns"] = ",".join("%s=%s" % (role, column[role]) for role in ("user", "item", "time", "rating") if role in names)
    rename_where(options, column["kind"])
    return names


def table(draw, rows, options, names):
    """Text with quotes, comments, further columns."""
    delimiter = options["delimiter"]
    text = io.StringIO()
    writer = csv.writer(text, delimiter="\t" if delimiter == "blanks" else delimiter, lineterminator="\n",
                        quoting=csv.QUOTE_MINIMAL if delimiter == "blanks" else draw.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
    if options.get("header"):
        writer.writerow(names)
    for number, (user, item, time, rating, kind) in enumerate(rows):
        values = {"user": user, "item": item, "time": written_time(draw, time, options), "rating": rating, "kind": kind}
        if options.get("na_values") and draw.random() < 0.1:
            values[draw.choice(["user", "item"])] = "NA"
        writer.writerow([values[name] for name in names] + (["x"] * draw.randrange(3) if options.get("ragged") and number else []))
        if options.get("comment") and draw.random() < 0.1:
            text.write("# not, one, of, them\n")
    text = text.getvalue()
    return text.replace("\t", draw.choice(["  ", " \t", " "])) if delimiter == "blanks" else text


def lay_out_lists(draw, options):
    options["columns"] = "user=0,items=2" + (",times=1" if options["times"] != "none" else "")
    if draw.random() < 0.5:
        options["list_separator"] = ";"
    return options.get("list_separator", " ")


def lists(draw, rows, options, separator):
    """A row for each user, with a list of times and one of items."""
    users = collections.OrderedDict()
    for user, item, time, rating, kind in rows:
        users.setdefault(user, []).append((item, time))
    text = ""
    for user, events in users.items():
        quote = draw.choice(["", "'"])
        items = separator.join(quote + item + quote for item, time in events)
        text += "%s,%s,%s\n" % (user, separator.join(str(time) for item, time in events), draw.choice([items, "[" + items + "]"]))
    return text


def lay_out_objects(draw, options):
    front = draw.choice(["", "events."])
    options["no_user"] = draw.random() < 0.2
    options["columns"] = ("" if options["no_user"] else "user=who,") + "item=%swhat,rating=%sstars" % (front, front)
    if options["times"] != "none":
        options["columns"] += ",time=%swhen" % front
    rename_where(options, front + "kind")
    return front


def objects(draw, rows, options, front):
    """A line for each interaction, or for several of a user, with events in an array."""
    lines = []
    for user, item, time, rating, kind in rows:
        time = time if options["times"] in ("none", "number") else written_time(draw, time, options)
        event = {"what": item, "when": time, "stars": rating, "kind": kind, "more": {"what": [1, None, True]}}
        if not front:
            lines.append(dict(event, who=user))
        elif lines and lines[-1]["who"] == user:
            lines[-1]["events"].append(event)
        else:
            lines.append({"who": user, "events": [event]})
    return "".join((repr(line) if options["format"] == "python" else json.dumps(line)) + "\n" for line in lines)


def lay_out_nothing(draw, options):
    return None


def words(draw, rows, options, layout):
    users = collections.OrderedDict()
    for user, item, *_ in rows:
        users.setdefault(user, []).append(item)
    text = "# made up\n" if options.get("comment") else ""
    for user, items in users.items():
        text += draw.choice(["", " "]) + " ".join(([] if options.get("no_user") else [user]) +
                                                 ([str(len(items))] if options.get("counted") else []) + items) + "\n"
    return text


def ratings(draw, rows, options, layout):
    text, above = "", None
    for user, item, time, rating, kind in rows:
        text += "%s:\n" % item if item != above else ""
        above = item
        text += "%s,%d,%s\n" % (user, rating, datetime.datetime.fromtimestamp(time, datetime.timezone.utc).strftime("%Y-%m-%d"))
    return text


LAYOUTS = {"csv": (lay_out_table, table), "lists": (lay_out_lists, lists), "json": (lay_out_objects, objects),
           "python": (lay_out_objects, objects), "sequences": (lay_out_nothing, words), "netflix": (lay_out_nothing, ratings)}


# ---- options ----


def chosen_options(draw):
    kind = draw.choice(["csv", "csv", "csv", "lists", "json", "python", "sequences", "netflix"])
    options = {"format": "csv" if kind == "lists" else kind, "delimiter": ",", "times": draw.choice(["none", "number", "iso", "pattern"])}
    if kind == "lists":
        options["times"] = draw.choice(["none", "number"])
    if kind in ("sequences", "netflix"):
        options["times"] = "none" if kind == "sequences" else "iso"
        del options["delimiter"]
    if kind in ("json", "python"):
        del options["delimiter"]
    if kind == "csv":
        options["delimiter"] = draw.choice([",", ";", "\t", "blanks"])
        options["header"] = draw.random() < 0.5
        options["ragged"] = draw.random() < 0.3
        if draw.random() < 0.3:
            options["na_values"] = "NA"
    if kind == "sequences":
        options["no_user"], options["counted"] = draw.random() < 0.5, draw.random() < 0.5
    if kind in ("csv", "sequences") and draw.random() < 0.3:
        options["comment"] = "#"
    if options["times"] == "pattern":
        options["time_format"] = draw.choice(PATTERNS)
        if options.get("delimiter") == "blanks":
            options["time_format"] = "%Y%m%dT%H%M%S"
    if options.get("delimiter") == "blanks" and options["times"] == "iso":
        options["times"] = "number"
    if kind in ("csv", "json", "python") and draw.random() < 0.4:
        options["where"] = ["kind=" + draw.choice(["view", "view,buy", "nothing,cart"])]
    choose_rules(draw, options, kind)
    lay_out, write = LAYOUTS[kind]
    return options, lay_out(draw, options), write


def choose_rules(draw, options, kind):
    has_times = options["times"] != "none"
    few = lambda: draw.random() < 0.25
    if few() and kind not in ("lists", "sequences"):
        options["min_rating"] = draw.randint(2, 3)
    if few() and has_times:
        options["after"] = START + draw.randrange(2000)
    if few() and has_times:
        options["before"] = START + draw.randrange(2000, 200000)
    if few() and has_times:
        options["session_gap"] = draw.choice([30, 1800, 90000])
    if draw.random() < 0.5:
        options["deduplicate"] = draw.choice(["first", "last", "consecutive"])
    for name, most in (("max_user", 20), ("max_item", 20), ("min_user", 4), ("min_item", 4), ("max_length", 6)):
        if few():
            options[name] = draw.randint(2, most)
    splits = ["leave-one-out", "leave-one-out:test", "ratio:0.5,0.25,0.25", "ratio:0.8,0.1,0.1", "sessions:0.6,0.2,0.2"]
    if has_times:
        splits += ["time:%d,%d" % (START + 500, START + 3000), "time-quantile:0.8,0.1,0.1", "time-quantile:0.7,0.0,0.3",
                   "sessions:%d,%d" % (START + 500, START + 3000), "time-quantile:0.5,0.5,0.0"]
    options["split"] = draw.choice(splits)
    if draw.random() < 0.15:
        options["split"] = "given"
    if draw.random() < 0.4:
        options["cold"] = draw.choice(["keep", "drop", "items", "users"])


def arguments_of(options, paths):
    arguments = ["--format", options["format"]]
    for name, value in options.items():
        option = "--" + name.replace("_", "-")
        if name in ("format", "times") or value is False or (name, value) == ("split", "given"):
            continue
        if name in ("after", "before", "session_gap") and options["times"] in ("iso", "pattern") and name != "session_gap":
            value = datetime.datetime.fromtimestamp(value, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        if name == "split" and options["times"] in ("iso", "pattern") and value.split(":")[0] in ("time", "sessions") and "." not in value:
            bounds = [datetime.datetime.fromtimestamp(int(bound), datetime.timezone.utc) for bound in value.split(":")[1].split(",")]
            value = value.split(":")[0] + ":" + ",".join(bound.strftime("%Y-%m-%dT%H:%M:%SZ") for bound in bounds)
        if name == "where":
            for where in value:
                arguments += [option, where]
        else:
            arguments += [option] if value is True else [option, str(value)]
    for part in ("input", "train", "valid", "test"):
        files = [path for belongs, path in paths if belongs == part]
        arguments += ["--" + part] + files if files else []
    return arguments


# ---- comparing ----


def divide(draw, rows, options):
    """Rows by file: [(part, rows)]."""
    if options["split"] != "given":
        cut = draw.randrange(len(rows) + 1) if options["format"] != "sequences" else len(rows)
        return [("input", part) for part in (rows[:cut], rows[cut:]) if part]
    if draw.random() < 0.8:
        rows = sorted(rows, key=lambda row: row[2])
    first, second = sorted(draw.randrange(1, len(rows) + 1) for _ in range(2))
    return [(name, part) for name, part in (("train", rows[:first]), ("valid", rows[first:second]), ("test", rows[second:])) if part]


def convert_once(draw, srprep, launcher, directory):
    options, layout, write = chosen_options(draw)
    parts = divide(draw, made_up(draw), options)
    if options["split"] == "given" and (parts[0][0] != "train" or len(parts) < 2):
        options["split"] = "leave-one-out"
        parts = [("input", rows) for _, rows in parts]
    texts, paths = [], []
    for number, (part, rows) in enumerate(parts):
        texts.append((part, write(draw, rows, options, layout)))
        paths.append((part, os.path.join(directory, "raw%d" % number)))
        with open(paths[-1][1], "w", newline="") as file:
            file.write(texts[-1][1])
    output = os.path.join(directory, "data")
    arguments = arguments_of(options, paths) + ["--output", output]
    result = subprocess.run(launcher + [srprep, "convert"] + arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    kind = compare(options, texts, output, srprep, arguments, result)
    shutil.rmtree(output, ignore_errors=True)
    return kind


def compare(options, texts, output, srprep, arguments, result):
    def fail(what):
        sys.exit("%s\nsrprep convert %s\n%s%s\n%s" % (what, " ".join(map(repr, arguments)), result.stdout, result.stderr,
                                                      "\n".join(part + ":\n" + text for part, text in texts)))
    try:
        expected = conversion_model.convert(texts, options)
    except conversion_model.Contradiction:
        if result.returncode != 3 or "time stamps of a sequence cannot decrease" not in result.stderr:
            fail("a given split that its time stamps contradict is not refused")
        return "refused"
    if not expected:
        if result.returncode != 3:
            fail("nothing is left, and the exit code is %d" % result.returncode)
        return "with nothing left"
    if result.returncode != 0:
        fail("the exit code is %d" % result.returncode)
    exported = subprocess.run([srprep, "export", output, "--format", "csv", "--parts"], stdout=subprocess.PIPE, text=True, check=True)
    found = list(csv.reader(io.StringIO(exported.stdout)))[1:]
    wanted = [[user, item] + ([str(time)] if time is not None else []) + [part] for user, item, time, part in expected]
    if found != wanted:
        different = next(place for place in range(max(len(found), len(wanted))) if found[place:place + 1] != wanted[place:place + 1])
        fail("row %d of %d is %s, expected is %s of %d" % (different, len(found), found[different:different + 1],
                                                          wanted[different:different + 1], len(wanted)))
    return "equal"


def main():
    srprep, count, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 1
    launcher, kinds = sys.argv[4:], collections.Counter()
    with tempfile.TemporaryDirectory() as directory:
        for number in range(count):
            kinds[convert_once(random.Random("%d %d" % (seed, number)), srprep, launcher, directory)] += 1
    print("%d random conversions are those of the model: %s" % (count, ", ".join("%d %s" % (kinds[kind], kind) for kind in sorted(kinds))))


if __name__ == "__main__":
    main()
