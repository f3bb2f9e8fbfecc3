# Spectrum of attention. Blocks of the data: for each layer a matrix before and one after calibration, frequency 0 in the middle.
half = items / 2
set terminal @terminal size 400*layers,740 @look
set output name.'.'.ending
unset grid
set cbrange [-3:0]
set size ratio 1
set xrange [-half-0.5:items-half-0.5]
set yrange [-half-0.5:items-half-0.5]
set xlabel 'frequency in'
set ylabel 'frequency out'
set multiplot layout 2,layers title 'Spectrum of attention, log10 |F A F^-1|'
do for [stage=0:1] {
    do for [l=0:layers-1] {
        set title sprintf('layer %d, %s calibration', l + 1, stage ? 'after' : 'before')
        plot name.'.dat' index 2*l+stage matrix using ($1-half):($2-half):3 with image @cells notitle
    }
}
unset multiplot
