# What all pictures have in common. Set before: name of the picture, ending of its file, terminal that draws it.
look = "noenhanced background rgb 'white' font 'sans,12'"
# Heat maps: viewers of SVG blur a small image when they enlarge it, but not rectangles. A PNG has pixels already.
cells = ending eq 'svg' ? 'pixels' : ''
set grid lt 1 lc rgb '#dddddd'
# From dark to bright; gnuplot 5.4 has no viridis by name.
set palette defined (0 '#440154', 0.25 '#3b528b', 0.5 '#21908d', 0.75 '#5dc963', 1 '#fde725')
