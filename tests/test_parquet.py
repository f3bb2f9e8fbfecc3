"""The lines of docs/data.md that pipe Parquet into srprep work: test_parquet.py SRPREP DATA.MD. 77, skipped, without the library
that a line needs."""
import importlib.util
import os
import subprocess
import sys
import tempfile

ROWS = [("u%d" % (i * 7 % 50), "item, \"%d\"" % (i * 13 % 40), 1400000000 + i) for i in range(3000)]


def write_parquet(library, directory):
    """Two files of the same columns and a further one."""
    for number, rows in enumerate((ROWS[:1000], ROWS[1000:])):
        path = os.path.join(directory, "part-%d.parquet" % number)
        if library == "pyarrow":
            import pyarrow
            import pyarrow.parquet
            users, items, times = zip(*rows)
            pyarrow.parquet.write_table(pyarrow.table({"more": users, "timestamp": times, "item_id": items, "user_id": users}), path)
        else:
            import duckdb
            values = ", ".join("('%s', '%s', %d)" % row for row in rows)
            duckdb.sql("COPY (SELECT * FROM (VALUES %s) t(user_id, item_id, timestamp)) TO '%s' (FORMAT parquet)" % (values, path))


def run_line(library, line, srprep):
    with tempfile.TemporaryDirectory() as directory:
        write_parquet(library, directory)
        environment = dict(os.environ, PATH=os.path.dirname(srprep) + os.pathsep + os.environ["PATH"])
        subprocess.run(["bash", "-o", "pipefail", "-c", line], cwd=directory, env=environment, check=True, stdout=subprocess.DEVNULL)
        exported = subprocess.run([srprep, "export", "data/set", "--format", "csv"], cwd=directory, check=True, text=True,
                                  stdout=subprocess.PIPE).stdout.splitlines()
    expected = sorted('%s,"%s",%d' % (user, item.replace('"', '""'), time) for user, item, time in ROWS)
    if sorted(exported[1:]) != expected:
        sys.exit("%s gives other interactions: %s" % (library, exported[:5]))


def main():
    srprep, page = sys.argv[1:]
    with open(page) as file:
        lines = [line.strip() for line in file if line.startswith("    python3 -c") and ".parquet" in line]
    found = 0
    for library in ("duckdb", "pyarrow"):
        own = [line for line in lines if library in line]
        if not own:
            sys.exit("%s has no line for %s" % (page, library))
        if importlib.util.find_spec(library):
            run_line(library, own[0], srprep)
            found += 1
    if not found:
        print("skipped: neither duckdb nor pyarrow is installed")
        sys.exit(77)
    print("%d lines work" % found)


if __name__ == "__main__":
    main()
