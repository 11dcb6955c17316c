//! Shows the routes as they are matched, for `check`.

use crate::proxy::RouteSettings;

const HEADER: [&str; 5] = ["bucket", "region", "prefix", "allow", "keys"];

/// One line each, under a header: by bucket, the longest prefix first, then as in the file.
pub(super) fn table(routes: &[RouteSettings]) -> Vec<String> {
    let mut buckets: Vec<&str> = Vec::new();
    for route in routes {
        if !buckets.contains(&route.bucket.as_str()) {
            buckets.push(&route.bucket);
        }
    }
    let mut sorted: Vec<&RouteSettings> = routes.iter().collect();
    sorted.sort_by_key(|route| {
        let bucket = buckets.iter().position(|bucket| *bucket == route.bucket);
        (bucket, std::cmp::Reverse(route.prefix.len()), route.prefix.as_str())
    });
    let cells = |route: &RouteSettings| {
        let prefix = format!("\"{}\"", route.prefix);
        let allow = route.allow.to_string();
        [route.bucket.clone(), route.region.clone(), prefix, allow, route.keys_name.clone()]
    };
    let mut rows = vec![HEADER.map(str::to_owned)];
    rows.extend(sorted.into_iter().map(cells));
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max()
    };
    let widths: Vec<usize> = (0..HEADER.len()).map(|column| width(column).unwrap_or(0)).collect();
    let line = |row: &[String; 5]| {
        let padded = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}
