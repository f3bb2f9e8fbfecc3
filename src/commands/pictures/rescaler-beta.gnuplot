# Factors of high frequencies. Blocks of the data: layers; columns: place of the channel in ascending order, beta.
set terminal @terminal size 800,500 @look
set output name.'.'.ending
set title 'Factor of high frequencies in every channel'
set xlabel 'channels in ascending order'
set ylabel 'beta'
set xrange [1:*]
set yrange [0:*]
set key left top
plot for [l=0:layers-1] name.'.dat' index l using 1:2 with lines lw 2 lc l+1 title sprintf('layer %d', l + 1)
