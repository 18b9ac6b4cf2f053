"""
What is wrong with a cell, as macros of DuckDB: each gives a code and words, or NULL.

The words show what was found and say what was expected; white space and long text are shown as
they stand, and cut.
"""

from __future__ import annotations

MACROS = """
CREATE OR REPLACE TEMP MACRO bare(v) AS regexp_replace(v, '^[\\s\\pZ]+|[\\s\\pZ]+$', '', 'g');
CREATE OR REPLACE TEMP MACRO shown(v) AS
    '''' || CASE WHEN length(v) > 60 THEN left(v, 60) || '…' ELSE v END || '''';
CREATE OR REPLACE TEMP MACRO trouble(c, w) AS {'code': c, 'words': w};
CREATE OR REPLACE TEMP MACRO id_trouble(name, v) AS CASE
    WHEN v IS NULL OR regexp_full_match(v, '[0-9]{1,20}') THEN NULL
    WHEN regexp_full_match(bare(v), '[0-9]+([.,][0-9]+)?[eE][+]?[0-9]+') THEN trouble(
        'mangled_number', name || ' ' || shown(v) || ' is a number mangled by a spreadsheet: its '
        || 'last digits are lost; expected the id as digits')
    WHEN regexp_full_match(bare(v), '[0-9]+[.,]0*') THEN trouble(
        'mangled_number', name || ' ' || shown(v) || ' is a number with a decimal part, as '
        || 'spreadsheets write it; expected the id as digits')
    WHEN regexp_full_match(bare(v), '[0-9]+') AND v <> bare(v) THEN trouble(
        'not_an_id', name || ' ' || shown(v) || ' has white space around it; expected digits alone')
    WHEN regexp_full_match(bare(v), 'zcrm_[0-9]+') THEN trouble(
        'not_an_id', name || ' ' || shown(v) || ' has the prefix of an export by Zoho; expected '
        || 'the digits after zcrm_ alone')
    WHEN regexp_full_match(bare(v), '=?["''][0-9]+["'']?') THEN trouble(
        'not_an_id', name || ' ' || shown(v) || ' has the marks by which a spreadsheet keeps text; '
        || 'expected the digits alone')
    WHEN regexp_full_match(bare(v), '[0-9]{1,3}([,. ][0-9]{3})+') THEN trouble(
        'not_an_id', name || ' ' || shown(v) || ' is a number with separators of thousands, or '
        || 'several ids; expected the id as digits')
    WHEN regexp_full_match(v, '[0-9]+') THEN trouble(
        'not_an_id', name || ' ' || shown(v) || ' has ' || length(v) || ' digits; expected at most '
        || '20')
    WHEN regexp_full_match(bare(v), '[0-9]+([ ,;|/]+[0-9]+)+') THEN trouble(
        'not_an_id', name || ' ' || shown(v) || ' looks like several ids; expected one')
    ELSE trouble('not_an_id', name || ' ' || shown(v) || ' is not an id; expected digits, at most '
        || '20')
END;
CREATE OR REPLACE TEMP MACRO number() AS
    '\\s*-?(0|[1-9][0-9]*)([.][0-9]+)?([eE][+-]?[0-9]+)?\\s*';
CREATE OR REPLACE TEMP MACRO id_list(v) AS CASE
    WHEN v IS NULL THEN NULL
    -- The cast to JSON prints a number anew; these are taken as they stand.
    WHEN regexp_full_match(bare(v), '\\[' || number() || '(,' || number() || ')*\\]')
        THEN regexp_extract_all(v, '[-0-9][-+.0-9eE]*')
    WHEN bare(v) LIKE '[%' THEN from_json(TRY_CAST(v AS JSON), '["VARCHAR"]')
    ELSE list_transform(string_split(v, ';'), lambda x: trim(x))
END;
CREATE OR REPLACE TEMP MACRO ids_trouble(name, v) AS CASE
    WHEN v IS NULL THEN NULL
    WHEN id_list(v) IS NULL OR len(id_list(v)) = 0 THEN trouble(
        'not_an_id', name || ' ' || shown(v) || ' is not a list of ids; expected an id, ids joined '
        || 'with ;, or a JSON list of ids')
    ELSE list_extract(list_filter(list_transform(id_list(v), lambda x: id_trouble(name,
        coalesce(x, 'null'))), lambda t: t IS NOT NULL), 1)
END;
CREATE OR REPLACE TEMP MACRO name_trouble(name, v) AS CASE
    WHEN v IS NULL OR regexp_full_match(v, '[A-Za-z_][A-Za-z0-9_]{0,99}') THEN NULL
    ELSE trouble('not_a_name', name || ' ' || shown(v) || ' is not an API name; expected letters, '
        || 'digits and _, at most 100')
END;
CREATE OR REPLACE TEMP MACRO flag_trouble(name, v) AS CASE
    WHEN v IS NULL OR lower(v) IN ('true', 'false', '1', '0', 'yes', 'no') THEN NULL
    ELSE trouble('not_a_flag', name || ' ' || shown(v) || '; expected true or false')
END;
"""
