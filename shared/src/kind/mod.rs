//! Kinds of jobs. A new kind is one new file here and one line in [`ALL`].
