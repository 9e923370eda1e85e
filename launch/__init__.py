"""Starting a training on several workers, and planning it; run from the repository's root, see launch/README.md."""
