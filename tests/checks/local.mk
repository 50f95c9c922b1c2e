# Checks of the tree itself: layers, style, documents against code.
