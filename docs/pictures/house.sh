#!/bin/sh
# house.sh FOLDERS.TXT: the folders and who may include whom, as a graph for dot.
#
# A folder that is reached through another has no arrow of its own: folders.txt has the exact lists. Dashed: a folder that is
# explained later, which may be included all the same.
exec awk '
    $1 == "folder" {
        sub(/:/, "", $2)
        name[++count] = $2
        level[$2] = count
        for (i = 3; i <= NF; ++i) may[$2, $i] = 1
    }
    # Whether `from` reaches `to` by arrows that go down.
    function reaches(from, to,    i) {
        if (may[from, to] && level[to] < level[from]) return 1
        for (i = 1; i < level[from]; ++i) if (may[from, name[i]] && reaches(name[i], to)) return 1
        return 0
    }
    END {
        print "digraph house {"
        print "  bgcolor=BACKGROUND; rankdir=TB; nodesep=0.4; ranksep=0.3"
        print "  node [shape=box, style=\"filled,rounded\", fillcolor=FILL, color=LINE, fontcolor=TEXT, fontname=\"sans-serif\", fontsize=14, height=0.4]"
        print "  edge [color=LINE, arrowsize=0.7]"
        for (i = 1; i <= count; ++i) printf "  %s\n", name[i]
        for (i = 1; i <= count; ++i)
            for (j = 1; j <= count; ++j) {
                if (i == j || !may[name[i], name[j]]) continue
                through = 0
                for (k = 1; k < i && j < i; ++k) if (k != j && may[name[i], name[k]] && reaches(name[k], name[j])) through = 1
                if (!through) printf("  %s -> %s%s\n", name[i], name[j], (j > i ? " [style=dashed, constraint=false]" : ""))
            }
        print "}"
    }' "$1"
