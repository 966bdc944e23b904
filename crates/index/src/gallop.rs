//! Search from a place on in what is in order.

/// The first position from `from` on whose item is not before what is looked for: found in a time
/// that depends on how far away it is, not on how many items there are (Bentley and Yao 1976,
/// doi:10.1016/0020-0190(76)90071-5).
pub(crate) fn gallop<T>(items: &[T], from: usize, is_before: impl Fn(&T) -> bool) -> usize {
    let rest = items.get(from..).unwrap_or_default();
    let mut width = 1;
    while rest.get(width - 1).is_some_and(&is_before) {
        width *= 2;
    }
    let (low, high) = (width / 2, width.min(rest.len()));
    let within = rest.get(low..high).unwrap_or_default();
    from + low + within.partition_point(is_before)
}
