//! Tables that set the network's figures beside the composer's.

/// The lines of a table with two columns: label, decimals, the composer's figure, the network's. NaN is a dash.
pub fn table(lines: impl IntoIterator<Item = (&'static str, usize, f64, f64)>) -> String {
    let mut text = format!("{:<46}{:>9}{:>9}", "", "Bach", "network");
    for (label, decimals, bach, network) in lines {
        text += &format!("\n{label:<46}{}{}", cell(bach, decimals), cell(network, decimals));
    }
    text
}

/// The lines of a table with one column.
pub fn column(heading: &str, lines: impl IntoIterator<Item = (&'static str, f64)>) -> String {
    let mut text = heading.to_string();
    for (label, figure) in lines {
        text += &format!("\n  {label:<44}{:>9}{}", "", cell(figure, 1));
    }
    text
}

fn cell(figure: f64, decimals: usize) -> String {
    if figure.is_nan() { format!("{:>9}", "-") } else { format!("{figure:>9.decimals$}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_stand_in_columns() {
        let text = table([("triads", 1, 74.18, 51.0), ("ends", 2, 0.5, f64::NAN)]);
        let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines, [vec!["Bach", "network"], vec!["triads", "74.2", "51.0"], vec!["ends", "0.50", "-"]]);
        assert!(text.lines().all(|line| line.len() == 64), "{text}");
        assert_eq!(column("x", [("root", 26.0)]).lines().nth(1).unwrap().len(), 64);
    }
}
