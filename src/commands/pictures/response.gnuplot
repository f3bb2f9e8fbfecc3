# Response of filters by frequency. Blocks of the data: layers; columns: frequency, mean over channels, quantiles 0.05, 0.25, 0.5,
# 0.75, 0.95. Set before, besides numbers: what is drawn.
set terminal @terminal size 480*layers,480 @look
set output name.'.'.ending
set xlabel 'periods in the window'
set ylabel 'response'
set yrange [0:*]
set key below height 1
set style fill transparent solid 0.3 noborder
set multiplot layout 1,layers title what
do for [l=0:layers-1] {
    set title sprintf('layer %d', l + 1)
    plot name.'.dat' index l using 1:3:7 with filledcurves lc 3 title '5 to 95 %', \
         '' index l using 1:4:6 with filledcurves lc 1 title '25 to 75 %', \
         '' index l using 1:2 with lines lw 2 lc rgb 'black' title 'mean of channels'
}
unset multiplot
