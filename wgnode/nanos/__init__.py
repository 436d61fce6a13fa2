"""Of a gateway on Nanos what both know: who makes its image, and who runs in it. Pure."""
