# Projected efficiency of weak scaling, a panel for each model; from study.csv. Set before: dark (0 or 1), output.
text = dark ? '#e6edf3' : '#1f2328'
set terminal svg dynamic size 1000,380 noenhanced background rgb (dark ? '#0d1117' : 'white') font 'sans-serif,13'
set output output
set datafile separator comma
set datafile columnheaders
set border lc rgb text
set xlabel 'ranks' textcolor rgb text
set logscale x 4
set yrange [0:1.05]
set grid lt 1 lc rgb (dark ? '#3d4f68' : '#dddddd')
set key below textcolor rgb text
set tics textcolor rgb text
set format y '%.1f'
of(model, network) = strcol('model') eq model && strcol('network') eq network ? column('efficiency') : NaN
set multiplot layout 1,3
do for [model in "'d 64' 'wide' 'divided 10^7 items'"] {
    set title model textcolor rgb text
    plot 'study.csv' using 'ranks':(of(model, 'HDR InfiniBand')) with linespoints lw 2 pt 7 lc rgb '#4c9a5f' title 'HDR InfiniBand', \
         'study.csv' using 'ranks':(of(model, '25 GbE')) with linespoints lw 2 pt 5 lc rgb '#5b8ed6' title '25 GbE', \
         'study.csv' using 'ranks':(of(model, '1 GbE')) with linespoints lw 2 pt 9 lc rgb '#d07a3c' title '1 GbE'
}
unset multiplot
