//! The text of `entry_points.txt`.
