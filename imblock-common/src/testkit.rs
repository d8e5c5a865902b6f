//! Frames for tests and benchmarks, built fluently, and the fixtures that both homes are tested with.
