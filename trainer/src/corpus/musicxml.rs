//! Partwise MusicXML, plain or compressed (`.mxl`). Standard: <https://www.w3.org/2021/06/musicxml40/>.

mod measures;

use std::io::{Cursor, Read};

use anyhow::{Context, Result, bail, ensure};
use roxmltree::{Document, Node, ParsingOptions};

use super::beats::Beats;
use super::decoding;
use super::format::Format;
use super::piece::Piece;
use super::repeats;
use super::written::{WrittenMusic, WrittenPart};
use measures::Reader;

/// MusicXML files.
pub const FORMAT: Format = Format {
    name: "MusicXML",
    extensions: &["musicxml"],
    shared_extensions: &[],
    begins: |_, text| text.contains("<score-partwise") || text.contains("<score-timewise"),
    read: |file| Ok(vec![read(file.source, &file.text(), file.played)]),
};

/// MusicXML files in zip archives.
pub const COMPRESSED: Format = Format {
    name: "compressed MusicXML",
    extensions: &["mxl"],
    shared_extensions: &[],
    begins: |_, _| false,
    read: |file| Ok(vec![read(file.source, &unpack(file.bytes)?, file.played)]),
};

/// A larger unpacked file is an error or an attack.
const MAX_BYTES: u64 = 256 << 20;
/// The highest number of XML nodes.
const MAX_NODES: u32 = 20_000_000;

/// Extracts the text of the score from a compressed file.
///
/// # Errors
/// If the bytes are not a zip archive, or it contains no score.
pub fn unpack(bytes: &[u8]) -> Result<String> {
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).context("expected a zip archive, as .mxl files are")?;
    let container = entry(&mut archive, "META-INF/container.xml").ok();
    let named = container.and_then(|container| {
        let text = decoding::text(&container);
        let document = Document::parse(&text).ok()?;
        let root = document.descendants().find(|node| node.has_tag_name("rootfile"))?;
        root.attribute("full-path").map(String::from)
    });
    let first = || {
        let mut names = archive.file_names().flatten().filter(|name| !name.starts_with("META-INF/"));
        names.find(|name| name.ends_with(".xml") || name.ends_with(".musicxml")).map(String::from)
    };
    let name = named.or_else(first).context("expected a score in the archive, got none")?;
    Ok(decoding::text(&entry(&mut archive, &name)?))
}

fn entry(archive: &mut zip::ZipArchive<Cursor<&[u8]>>, name: &str) -> Result<Vec<u8>> {
    let file = archive.by_name(name).with_context(|| format!("expected `{name}` in the archive"))?;
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).with_context(|| format!("`{name}` in the archive"))?;
    ensure!(bytes.len() as u64 <= MAX_BYTES, "expected `{name}` to unpack to at most {MAX_BYTES} bytes, got more");
    Ok(bytes)
}

/// Reads the piece in a file, with a part for each staff. Leaves out grace and cue notes; pitches are sounding pitches,
/// also of transposing instruments. If the measures of parts differ in length, aligns the parts at each measure. With
/// `played`, follows repeats and endings, but not da capo.
///
/// # Errors
/// If the text is not partwise MusicXML, or an element is invalid; with the line.
pub fn read(source: &str, text: &str, played: bool) -> Result<Piece> {
    let options = ParsingOptions { allow_dtd: true, nodes_limit: MAX_NODES, ..ParsingOptions::default() };
    let document = Document::parse_with_options(text, options).context("expected XML")?;
    let root = document.root_element();
    match root.tag_name().name() {
        "score-partwise" => {}
        "score-timewise" => bail!("expected a partwise score, got a timewise one; export it as partwise"),
        other => bail!("expected MusicXML (`score-partwise`), got `{other}`"),
    }
    let mut music = WrittenMusic { source: source.to_string(), title: title(root), ..WrittenMusic::default() };
    let mut readers: Vec<Reader> = Vec::new();
    for part in children(root, "part") {
        let name = part.attribute("id").map(|id| part_name(root, id)).unwrap_or_default();
        let mut reader = Reader::new(name);
        for measure in children(part, "measure") {
            reader.measure(measure, &mut music)?;
        }
        readers.push(reader);
    }
    let (starts, short) = starts(&readers)?;
    if short > 0 {
        music.remarks.push(format!("{short} measures are shorter than in another part; they were aligned at the next"));
    }
    let mut barlines = Vec::new();
    for (idx, reader) in readers.into_iter().enumerate() {
        let several = reader.num_staves > 1;
        let mut parts: Vec<WrittenPart> = (1..=reader.num_staves)
            .map(|staff| {
                let name = if several { format!("{} staff {staff}", reader.name) } else { reader.name.clone() };
                WrittenPart { name: name.trim().to_string(), ..WrittenPart::default() }
            })
            .collect();
        for (measure, &start) in reader.measures.iter().zip(&starts) {
            for (staff, note) in &measure.notes {
                let mut note = *note;
                note.at = note.at.plus(start)?;
                parts[*staff].notes.push(note);
            }
            // Metres, bars and repeats are the same in all parts.
            if idx == 0 {
                for (at, metre) in &measure.metres {
                    music.metres.push((at.plus(start)?, *metre));
                }
                music.barlines.push(start);
                barlines.extend(measure.barlines_from(start)?);
            }
        }
        music.parts.append(&mut parts);
    }
    let end = *starts.last().context("the list contains the end")?;
    music.end = Some(end);
    if played {
        music.order = repeats::order(&barlines, Beats::ZERO, end)?;
    }
    music.into_piece()
}

/// The start of each measure and the end of the last. A measure is as long as it is in the part where it is longest.
/// Also returns how many measures are shorter than that; an empty one is a rest of any length.
fn starts(readers: &[Reader]) -> Result<(Vec<Beats>, usize)> {
    let num_measures = readers.iter().map(|reader| reader.measures.len()).max().unwrap_or(0);
    let (mut starts, mut short) = (vec![Beats::ZERO], 0);
    for idx in 0..num_measures {
        let lengths = || readers.iter().filter_map(|reader| reader.measures.get(idx)).map(|measure| measure.length);
        let length = lengths().max().unwrap_or(Beats::ZERO);
        short += lengths().filter(|&part| part > Beats::ZERO && part < length).count();
        starts.push(starts[idx].plus(length)?);
    }
    Ok((starts, short))
}

fn title(root: Node) -> String {
    let work = child(root, "work").and_then(|work| child(work, "work-title"));
    let title = work.or_else(|| child(root, "movement-title"));
    title.and_then(|title| title.text()).unwrap_or_default().trim().to_string()
}

fn part_name(root: Node, id: &str) -> String {
    let list = child(root, "part-list");
    let part = list.and_then(|list| children(list, "score-part").find(|part| part.attribute("id") == Some(id)));
    let name = part.and_then(|part| child(part, "part-name")).and_then(|name| name.text());
    name.unwrap_or_default().trim().to_string()
}

/// The first child with that name.
fn child<'a, 'i>(node: Node<'a, 'i>, name: &str) -> Option<Node<'a, 'i>> {
    node.children().find(|child| child.has_tag_name(name))
}

/// The children with that name.
fn children<'a, 'i, 'n>(node: Node<'a, 'i>, name: &'n str) -> impl Iterator<Item = Node<'a, 'i>> + use<'a, 'i, 'n> {
    node.children().filter(move |child| child.has_tag_name(name))
}

#[cfg(test)]
pub mod tests;
