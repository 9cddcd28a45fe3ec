"""How long tests wait for what an event ends: long, because a wait that is met costs nothing, and a tight one fails on a busy machine."""

# What takes moments.
PATIENCE_S = 60.0
# What others take their time for: a garbage collector that learns of new kinds every half a minute, Helm, a whole program's run.
LONG_S = 180.0
