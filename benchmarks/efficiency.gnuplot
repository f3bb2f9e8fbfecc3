# Parallel efficiency, measured, with its range over repetitions; from scaling.csv.
# Set before: batch (examples of all ranks), batch_per_rank.
set terminal svg dynamic size 700,480 noenhanced background rgb 'white' font 'sans,13'
set output 'efficiency.svg'
set datafile separator comma
set datafile columnheaders
set title 'Parallel efficiency of training, measured'
set xlabel 'ranks'
set ylabel 'efficiency'
set logscale x 2
set yrange [0:1.2]
set offsets graph 0.05, graph 0.05, 0, 0
set grid lt 1 lc rgb '#dddddd'
set key below height 1

efficiency(kind) = strcol('kind') eq kind ? column('efficiency') : NaN
least(kind) = efficiency(kind) * column('step_ms') / column('step_maximum_ms')
most(kind) = efficiency(kind) * column('step_ms') / column('step_minimum_ms')
plot 1 with lines lc rgb 'gray' notitle, \
     'scaling.csv' using 'ranks':(efficiency('strong')):(least('strong')):(most('strong')) with yerrorlines lw 2 pt 7 lc 1 \
         title sprintf('strong: %d examples', batch), \
     'scaling.csv' using 'ranks':(efficiency('weak')):(least('weak')):(most('weak')) with yerrorlines lw 2 pt 5 lc 2 \
         title sprintf('weak: %d examples a rank', batch_per_rank)
