# Efficiency and time of a step, projected to many ranks, beside what was measured; from projection.csv and scaling.csv.
set terminal svg dynamic size 1100,480 noenhanced background rgb 'white' font 'sans,13'
set output 'projection.svg'
set datafile separator comma
set datafile columnheaders
set xlabel 'ranks'
set logscale x 2
set grid lt 1 lc rgb '#dddddd'
set key below height 1

of(kind, name) = strcol('kind') eq kind ? column(name) : NaN
set multiplot layout 1,2 title 'Projection by a model of compute, division and network (dots: measured)'
set ylabel 'efficiency'
set yrange [0:1.2]
plot 1 with lines lc rgb 'gray' notitle, \
     'projection.csv' using 'ranks':(of('strong', 'efficiency')) with lines lw 2 dt 2 lc 1 title 'strong, projected', \
     'scaling.csv' using 'ranks':(of('strong', 'efficiency')) with points pt 7 lc 1 notitle, \
     'projection.csv' using 'ranks':(of('weak', 'efficiency')) with lines lw 2 dt 2 lc 2 title 'weak, projected', \
     'scaling.csv' using 'ranks':(of('weak', 'efficiency')) with points pt 7 lc 2 notitle
set ylabel 'ms a step'
set yrange [*:*]
set logscale y
plot 'projection.csv' using 'ranks':(of('strong', 'step_ms')) with lines lw 2 dt 2 lc 1 title 'strong, projected', \
     'projection.csv' using 'ranks':(of('strong', 'measured_step_ms')) with points pt 7 lc 1 notitle, \
     'projection.csv' using 'ranks':(of('weak', 'step_ms')) with lines lw 2 dt 2 lc 2 title 'weak, projected', \
     'projection.csv' using 'ranks':(of('weak', 'measured_step_ms')) with points pt 7 lc 2 notitle
unset multiplot
