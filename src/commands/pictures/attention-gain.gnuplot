# Gain of attention by frequency. Blocks of the data: for each layer the heads, then their mean; columns: frequency, before and
# after calibration.
columns = layers < 4 ? layers : 4
rows = (layers + 3) / 4
set terminal @terminal size 480*columns,450*rows+30 @look
set output name.'.'.ending
set xlabel sprintf('periods in %d positions', items)
set ylabel '|A f_k|'
set yrange [0:*]
set key below height 1
set multiplot layout rows,columns title 'Gain of attention by frequency (dashed: before calibration)'
do for [l=0:layers-1] {
    first = l * (heads + 1)
    set title sprintf('layer %d', l + 1)
    plot for [h=0:heads-1] name.'.dat' index first+h using 1:3 with lines lw 1.5 lc h+1 title sprintf('head %d', h + 1), \
         for [h=0:heads-1] name.'.dat' index first+h using 1:2 with lines lw 1.5 lc h+1 dt 2 notitle, \
         name.'.dat' index first+heads using 1:3 with lines lw 3 lc rgb 'black' title 'mean of heads'
}
unset multiplot
