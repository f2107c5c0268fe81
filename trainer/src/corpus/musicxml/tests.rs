//! Tests of the MusicXML reader on scores of a few measures.

use std::io::Write;

use super::*;
use crate::corpus::piece::TICKS_PER_BEAT;
use crate::corpus::written::notes_in_words;

/// A piano of two staves with a chord, a tie, a grace note, a backup and endings, and a clarinet; also used by the fuzz
/// tests.
pub const MUSICXML: &str = "<?xml version='1.0' encoding='UTF-8'?>
<!DOCTYPE score-partwise PUBLIC '-//Recordare//DTD MusicXML 4.0 Partwise//EN' \
'http://www.musicxml.org/dtds/partwise.dtd'>
<score-partwise version='4.0'><work><work-title>A study</work-title></work>
<part-list><score-part id='P1'><part-name>Piano</part-name></score-part><score-part id='P2'>\
<part-name>Clarinet</part-name></score-part></part-list>
<part id='P1'>
<measure number='1'><attributes><divisions>6</divisions><key><fifths>-1</fifths><mode>minor</mode></key><time>\
<beats>2</beats><beat-type>4</beat-type></time><staves>2</staves></attributes>
<direction><direction-type/><sound tempo='72'/></direction>
<note><pitch><step>D</step><octave>5</octave></pitch><duration>6</duration><voice>1</voice><staff>1</staff></note>
<note><chord/><pitch><step>F</step><octave>5</octave></pitch><duration>6</duration><staff>1</staff></note>
<note><grace/><pitch><step>E</step><octave>5</octave></pitch><staff>1</staff></note>
<note><pitch><step>C</step><alter>1</alter><octave>5</octave></pitch><duration>6</duration><tie type='start'/>\
<staff>1</staff></note>
<backup><duration>12</duration></backup>
<forward><duration>4</duration></forward><note><pitch><step>D</step><octave>3</octave></pitch><duration>8</duration>\
<voice>2</voice><staff>2</staff></note>
</measure>
<measure number='2'><barline location='left'><ending number='1' type='start'/></barline>
<note><pitch><step>C</step><alter>1</alter><octave>5</octave></pitch><duration>12</duration><tie type='stop'/>\
<staff>1</staff></note>
<barline location='right'><ending number='1' type='stop'/><repeat direction='backward'/></barline></measure>
<measure number='3'><barline location='left'><ending number='2' type='start'/></barline>
<note><rest/><duration>6</duration><staff>1</staff></note><note><pitch><step>D</step><octave>5</octave></pitch>\
<duration>6</duration><staff>1</staff></note>
<barline location='right'><ending number='2' type='stop'/></barline></measure>
</part>
<part id='P2'>
<measure number='1'><attributes><divisions>1</divisions><transpose><diatonic>-1</diatonic>\
<chromatic>-2</chromatic></transpose></attributes>
<note><pitch><step>B</step><octave>4</octave></pitch><duration>1</duration></note></measure>
<measure number='2'/>
<measure number='3'><note><pitch><step>E</step><octave>5</octave></pitch><duration>2</duration></note></measure>
</part></score-partwise>
";

fn piece(text: &str, played: bool) -> Piece {
    read("a.musicxml", text, played).unwrap()
}

fn error(from: &str, to: &str) -> String {
    format!("{:#}", read("a.musicxml", &MUSICXML.replace(from, to), true).expect_err("an error"))
}

#[test]
fn a_score_is_read() {
    let piece = piece(MUSICXML, false);
    assert_eq!(notes_in_words(&piece), ["0+1:77 0+1:74 1+3:73 5+1:74", "2/3+4/3:50", "0+1:69 4+2:74"]);
    let names: Vec<_> = piece.parts.iter().map(|part| part.name.as_str()).collect();
    assert_eq!(names, ["Piano staff 1", "Piano staff 2", "Clarinet"]);
    assert_eq!((piece.title.as_str(), piece.tempo_bpm), ("A study", Some(72.0)));
    assert_eq!(piece.key().unwrap().to_string(), "D minor");
    assert_eq!(piece.bars, [0, 2, 4].map(|beats| beats * TICKS_PER_BEAT));
}

#[test]
fn parts_are_aligned_at_each_measure() {
    let piece = piece(MUSICXML, false);
    assert_eq!(piece.remarks, ["1 measures are shorter than in another part; they were aligned at the next"]);
}

#[test]
fn endings_are_played() {
    let piece = piece(MUSICXML, true);
    assert_eq!(piece.length, 8 * TICKS_PER_BEAT);
    // The first time the tie leads into the first ending; the second time it leads nowhere.
    assert_eq!(notes_in_words(&piece)[0], "0+1:77 0+1:74 1+3:73 4+1:77 4+1:74 5+1:73 7+1:74");
}

/// A compressed file that contains `files`, as names and texts.
pub fn pack(files: &[(&str, &str)]) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, text) in files {
        archive.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        archive.write_all(text.as_bytes()).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

#[test]
fn compressed_scores_are_unpacked() {
    let container = r#"<container><rootfiles><rootfile full-path="b.xml"/></rootfiles></container>"#;
    let packed = pack(&[("META-INF/container.xml", container), ("a.xml", "no"), ("b.xml", MUSICXML)]);
    assert_eq!(unpack(&packed).unwrap(), MUSICXML);
    assert_eq!(unpack(&pack(&[("a.xml", MUSICXML)])).unwrap(), MUSICXML);
    assert!(unpack(&pack(&[("a.png", "")])).is_err());
    assert!(unpack(&packed[..packed.len() / 2]).is_err());
}

#[test]
fn errors_name_the_line() {
    assert!(error("score-partwise", "score-timewise").contains("export it as partwise"));
    assert!(error("score-partwise", "html").contains("got `html`"));
    assert!(error("<divisions>6", "<divisions>0").starts_with("line 6: expected divisions"));
    assert!(error("<step>F", "<step>H").starts_with("line 9: expected a step from A to G, got `H`"));
    assert!(error("<octave>3", "<octave>30").starts_with("line 13: expected an octave"));
    assert!(error("<alter>1", "<alter>0.5").contains("quarter tone"));
    assert!(error("<duration>12</duration></backup>", "</backup>").starts_with("line 12: expected a duration"));
    assert!(error("<fifths>-1", "<fifths>-9").contains("7 flats"));
    assert!(error("</part>", "").starts_with("expected XML"));
}
