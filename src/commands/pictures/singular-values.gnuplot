# Singular values of the last states, one line a layer. Blocks of the data: layers; columns: i, s_i / s_1.
set terminal @terminal size 800,500 @look
set output name.'.'.ending
set title 'Singular values of the last states'
set xlabel 'i'
set ylabel 's_i / s_1'
set logscale y
set yrange [1e-4:1]
set xrange [1:*]
set format y '%.0e'
set key bottom left
plot for [l=0:layers] name.'.dat' index l using 1:2 with lines lw 2 lc l+1 title sprintf('layer %d', l)
