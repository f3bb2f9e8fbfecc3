# Effective number of attended keys. Columns of the data: layer.head, before and after calibration, visible keys.
set terminal @terminal size 340+80*layers*heads,450 @look
set output name.'.'.ending
set title 'Effective number of attended keys'
set xlabel 'layer.head'
set yrange [0:*]
set style data histograms
set style fill solid 0.7
set key outside
plot name.'.dat' using 2:xtic(1) title 'before calibration', '' using 3 title 'after', \
     '' using 0:4 with points pt 7 lc rgb 'black' title 'visible'
