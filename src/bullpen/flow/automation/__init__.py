"""Work that begins by itself: what is to be done when, as data; its runs; and who does them."""
