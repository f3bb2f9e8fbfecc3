# Attention within the sequence of a user. Blocks of the data: for each head a matrix before and one after calibration; rows are
# queries, columns keys. Set before, besides numbers: user, and the tics of both axes, the names of items, of at most `letters`.
# Pixels: a map, and around each what its tics, its title and its colours need.
cell = tokens < 12 ? 240 / tokens : tokens < 24 ? 20 : 14
map = cell * tokens
labels = 30 + 7 * letters
colours = 60 + map / 12
above = 45
width = heads * (labels + map + colours)
height = 2 * (above + map + labels) + 40
set terminal @terminal size width,height @look
set output name.'.'.ending
unset grid
small = cell < 20 ? ',9' : ',10'
set tics font small scale 0
set cbrange [0:*]
set xrange [-0.5:tokens-0.5]
set yrange [tokens-0.5:-0.5]
set multiplot layout 2,heads title sprintf('Attention of user %s, layer %d; rows are queries, columns keys', user, layer) \
    margins screen labels/(1.0*width),1-colours/(1.0*width),labels/(1.0*height),1-(above+40)/(1.0*height) \
    spacing screen (labels+colours)/(1.0*width),(labels+above)/(1.0*height)
do for [stage=0:1] {
    do for [h=0:heads-1] {
        set title sprintf('head %d, %s calibration', h + 1, stage ? 'after' : 'before')
        plot name.'.dat' index 2*h+stage matrix using 1:2:3 with image @cells notitle
    }
}
unset multiplot
