# States by layer. Columns of the data: layer, cosine, published cosine, effective rank, cosine of positions, high-frequency share.
set terminal @terminal size 900,(of_positions ? 700 : 380) @look
set output name.'.'.ending
set xlabel 'layer'
set xrange [-0.2:layers+0.2]
set xtics 1
set multiplot layout (of_positions ? 2 : 1),2 margins screen 0.08,0.97,(of_positions ? 0.09 : 0.16),(of_positions ? 0.94 : 0.88) \
    spacing screen 0.1,0.17
set title 'Cosine similarity of different sequences'
plot name.'.dat' using 1:2 with linespoints lw 2 pt 7 notitle
set title 'Effective rank of the last states'
set yrange [0:*]
plot name.'.dat' using 1:4 with linespoints lw 2 pt 7 notitle
if (of_positions) {
    set title 'Cosine similarity of positions'
    set yrange [*:*]
    plot name.'.dat' using 1:5 with linespoints lw 2 pt 7 notitle
    set title 'High-frequency share of energy'
    set yrange [0:*]
    plot name.'.dat' using 1:6 with linespoints lw 2 pt 7 notitle
}
unset multiplot
