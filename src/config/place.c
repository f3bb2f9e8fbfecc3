/* Messages with file, line, source line and caret; libfyaml's own errors are brought into the same form. */
#include "config/place.h"

#include "base/shown.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* The line of the file that `at` is in, with a caret below the column; nothing when the line is empty or there is none. Of a
 * long line what is around the caret. */
static void quote_line(const place *at, char *text, size_t size)
{
    enum { SIZE = 256, IN_FRONT = 48 }; /* of IN_FRONT characters all bytes fit */
    const char *line = at->text;
    text[0] = '\0';
    for (int i = 0; line && i < at->line; ++i) {
        line = strchr(line, '\n');
        line = line ? line + 1 : NULL;
    }
    size_t length = line ? strcspn(line, "\r\n") : 0;
    int caret = at->column;
    const bool is_long = length >= SIZE;
    const char *front = is_long && caret > IN_FRONT ? "..." : "";
    while (is_long && caret > IN_FRONT && length > 0) {
        do {
            ++line;
            --length;
        } while (((unsigned char)*line & 0xC0) == 0x80);
        --caret;
    }
    if (length == 0)
        return;
    char shown[SIZE];
    shown_text(line, length, shown, sizeof shown);
    for (char *tab = strchr(shown, '\t'); tab; tab = strchr(tab, '\t'))
        *tab = ' '; /* so that the caret is below its character */
    snprintf(text, size, "\n  %s%s\n  %*s^", front, shown, caret + (int)strlen(front), "");
}

bool place_is_given(const place *at)
{
    return at->line >= 0 || at->assignment;
}

sr_status place_fail(const place *at, sr_error *error, const char *format, ...)
{
    char text[2048], message[2048], source[1024] = "";
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    shown_text(text, strlen(text), message, sizeof message);
    if (!at->file) {
        char assignment[PLACE_SHOWN_SIZE];
        shown_text(at->assignment, strlen(at->assignment), assignment, sizeof assignment);
        return sr_fail(error, SR_ERROR_USAGE, "--set %s: error: %s", assignment, message);
    }
    if (at->line < 0)
        return sr_fail(error, SR_ERROR_USAGE, "%s: error: %s", at->file, message);
    quote_line(at, source, sizeof source);
    return sr_fail(error, SR_ERROR_USAGE, "%s:%d:%d: error: %s%s", at->file, at->line + 1, at->column + 1, message, source);
}

void place_move(place *at, struct fy_node *node)
{
    if (!at->file)
        return;
    while (node && !fy_node_is_scalar(node)) {
        if (fy_node_is_mapping(node)) {
            struct fy_node_pair *pair = fy_node_mapping_get_by_index(node, 0);
            node = pair ? fy_node_pair_key(pair) : NULL;
        } else {
            node = fy_node_sequence_get_by_index(node, 0);
        }
    }
    /* What is empty has a place of its own in libfyaml 0.8 but not before: the key's is kept. */
    struct fy_token *token = node && !fy_node_is_null(node) ? fy_node_get_scalar_token(node) : NULL;
    const struct fy_mark *mark = token ? fy_token_start_mark(token) : NULL;
    if (!mark)
        return;
    const enum fy_node_style style = fy_node_get_style(node);
    const bool quoted = style == FYNS_SINGLE_QUOTED || style == FYNS_DOUBLE_QUOTED;
    at->line = mark->line;
    at->column = mark->column - (quoted && mark->column > 0); /* the mark stands behind the quote or the alias' star */
    if (fy_node_is_alias(node) && at->column > 0)
        --at->column;
}

/* The length of the well-formed UTF-8 character at `text`, or 0. */
static size_t character_length(const unsigned char *text)
{
    const unsigned char first = text[0];
    const size_t length = first < 0x80             ? 1
                          : (first & 0xE0) == 0xC0 ? 2
                          : (first & 0xF0) == 0xE0 ? 3
                          : (first & 0xF8) == 0xF0 ? 4
                                                   : 0;
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    uint32_t code = length > 1 ? first & (0x7Fu >> length) : first;
    for (size_t i = 1; i < length; ++i) {
        if ((text[i] & 0xC0) != 0x80)
            return 0;
        code = code << 6 | (text[i] & 0x3Fu);
    }
    if (code < least[length] || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF))
        return 0;
    return length;
}

/* libfyaml takes a byte that is not UTF-8 for the end of the text, and would silently ignore what follows. */
static sr_status check_characters(const char *text, place at, sr_error *error)
{
    at.line = at.column = 0;
    for (const char *here = text; *here;) {
        const size_t length = character_length((const unsigned char *)here);
        if (length == 0)
            return place_fail(&at, error, "byte 0x%02X is not UTF-8 text", (unsigned char)*here);
        ++at.column;
        if (*here == '\n') {
            ++at.line;
            at.column = 0;
        }
        here += length;
    }
    return SR_OK;
}

static void discard(struct fy_diag *diagnostics, void *user, const char *text, size_t length)
{
    (void)diagnostics;
    (void)user;
    (void)text;
    (void)length;
}

static sr_status fail_syntax(struct fy_diag *diagnostics, place at, sr_error *error)
{
    void *position = NULL;
    const struct fy_diag_error *first = fy_diag_errors_iterate(diagnostics, &position);
    at.line = first && first->line > 0 ? first->line - 1 : -1;
    at.column = first && first->column > 0 ? first->column - 1 : 0;
    return place_fail(&at, error, "%s", first && first->msg ? first->msg : "this is not valid YAML");
}

static sr_status load_only_document(struct fy_parser *parser, struct fy_diag *diagnostics, place at,
                                    struct fy_document **document, sr_error *error)
{
    *document = fy_parse_load_document(parser);
    if (!*document)
        return fy_parser_get_stream_error(parser) ? fail_syntax(diagnostics, at, error) : SR_OK;
    struct fy_document *second = fy_parse_load_document(parser);
    if (!second && !fy_parser_get_stream_error(parser))
        return SR_OK;
    sr_status status;
    if (second) {
        place_move(&at, fy_document_root(second));
        status = place_fail(&at, error, "a second document starts here; a configuration is one document");
        fy_document_destroy(second);
    } else {
        status = fail_syntax(diagnostics, at, error);
    }
    fy_document_destroy(*document);
    *document = NULL;
    return status;
}

sr_status place_build_document(const char *text, const place *at, struct fy_document **document, sr_error *error)
{
    *document = NULL;
    SR_TRY(check_characters(text, *at, error));
    struct fy_diag_cfg diagnostics_configuration;
    fy_diag_cfg_default(&diagnostics_configuration);
    diagnostics_configuration.fp = NULL; /* nothing goes to the terminal: it all ends up in `error` */
    diagnostics_configuration.output_fn = discard;
    struct fy_diag *diagnostics = fy_diag_create(&diagnostics_configuration);
    if (!diagnostics)
        return sr_fail_memory(error, 1, "reading a configuration");
    fy_diag_set_collect_errors(diagnostics, true);
    /* Repeated keys are found by the reader, which can say where the first one stands. */
    const struct fy_parse_cfg configuration = {.flags = FYPCF_QUIET | FYPCF_JSON_NONE | FYPCF_ALLOW_DUPLICATE_KEYS,
                                               .diag = diagnostics};
    struct fy_parser *parser = fy_parser_create(&configuration);
    sr_status status;
    if (!parser || fy_parser_set_string(parser, text, strlen(text)) != 0)
        status = sr_fail_memory(error, 1, "reading a configuration");
    else
        status = load_only_document(parser, diagnostics, *at, document, error);
    fy_parser_destroy(parser);
    fy_diag_destroy(diagnostics);
    return status;
}
