/* Reading the command lines of srtrain and srprep. Local. */
#ifndef SRTRAIN_COMMAND_LINE_H
#define SRTRAIN_COMMAND_LINE_H

#include "srtrain/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { SR_TEXT_LIST_MAXIMUM = 4096 };

/* Values of an option that may have several. The texts belong to the command line. */
typedef struct {
    const char *texts[SR_TEXT_LIST_MAXIMUM];
    size_t count;
} sr_text_list;

/* An option "--name VALUE" or "--name=VALUE". Exactly one of the pointers says its type and where its value goes; the last one
 * given counts. Rows say the rest: messages, help, manual and completion come from them. */
typedef struct {
    const char *name;                        /* without dashes */
    const char **value, **file, **directory; /* a text, the path of a file, that of a directory */
    sr_text_list *list;         /* collects the value of each occurrence; and, if `greedy`, all up to the next option */
    bool *flag;                 /* takes no value */
    uint64_t *count;            /* a whole number from `least` to `most` (0: without bound) */
    double *number;             /* a number from `lowest` to `highest` */
    uint64_t *bytes;            /* as "512M" or "8G": at least `least` */
    double *seconds;            /* a duration (base/units.h) */
    int *choice;                /* the place of the value among `choices` */
    const char *const *choices; /* ends with NULL */
    uint64_t least, most;
    double lowest, highest;
    bool *given;          /* whether the option was given; or NULL */
    const char *standard; /* the default as text, which the value begins with; NULL: the value stays what it was */
    const char *word;     /* of a duration: may stand in its place, and then *is_word is set and the value stays what it was */
    bool *is_word;
    bool required;
    bool may_be_zero; /* of a duration: 0 stands for never */
    bool greedy;
    bool assignments;     /* of a list: takes what follows as well, as long as it reads like section.key=value */
    bool may_be_empty;    /* "--name=" gives it an empty value; for others that is an error */
    const char *argument; /* what the value is, for help: "DIR", "auto|never|PATH"; NULL: by the type */
    const char *help;     /* one sentence without a full stop, without default and whether it is required */
} sr_option;

/* Reads arguments[1..]; arguments[0] is the command's name, `program` that of the program, both for messages (NULL:
 * arguments[0] is the program, and the caller names it in front of messages). `operand_names` stands in messages for the
 * argument that is no option (NULL: the command takes none), which goes to *operands; several names with a blank between them
 * are for as many such arguments, which go to operands[0], operands[1], .. in order. A last name that ends with "..." is for
 * one or more, at most SR_TEXT_LIST_MAXIMUM in all, for which operands has room. SR_ERROR_USAGE for an unknown option (with the
 * nearest known one), a missing, empty or wrong value (with what is allowed), a missing option that is required, and a missing,
 * empty or superfluous operand.
 *
 * SR_HELP_GIVEN when --help (text) or --help=FORM is among the arguments, as usage, man (roff), markdown, completion (bash):
 * the options have been written to standard output, and the program ends with 0. */
sr_status sr_command_line_read(const char *program, int argument_count, char **arguments, const char *operand_names,
                               const char **operands, const sr_option *options, size_t option_count, sr_error *error);

/* Writes an option and what it was read as: "--top-k 10". The same text means the same. */
void sr_option_write(const sr_option *option, FILE *file);

/* ---- help for whole programs ---- */

/* Whether --help or one of its forms is among the arguments, so that nothing else is to be done. */
bool sr_help_is_wanted(int argument_count, char **arguments);

typedef struct {
    const char *name, *help; /* of a command; a sentence or two */
} sr_command_help;

typedef struct {
    const char *name, *version, *summary;
    const sr_command_help *commands;
    size_t command_count;
    const char *manual_sections; /* roff, behind the commands */
    /* Has a command write its options: calls it with "--help=..." and turns SR_HELP_GIVEN into SR_OK. */
    sr_status (*describe)(const char *command, const char *help, sr_error *error);
    void (*write_choices)(FILE *file); /* further lines of the completion; or NULL */
} sr_program;

/* Writes the page of the manual (--help=man), the part of the page on commands (--help=markdown) or the completion for bash
 * (--help=completion) of a program to standard output if `argument` asks for it: *written. */
sr_status sr_program_help(const sr_program *program, const char *argument, bool *written, sr_error *error);

/* Writes the usage of all commands to standard output. */
sr_status sr_program_usage(const sr_program *program, sr_error *error);

/* Text with what roff would take for its own escaped. */
void sr_manual_text(FILE *file, const char *text);

#endif
