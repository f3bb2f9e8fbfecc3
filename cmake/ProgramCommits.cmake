# srtrain_program_commit(TARGET): a program that knows its commit, which every build looks up. Libraries and tests do not have it, so
# that a commit makes nothing but the programs anew.
set(program_commit ${CMAKE_BINARY_DIR}/program_commit.c)
add_custom_target(program_commit BYPRODUCTS ${program_commit}
                  COMMAND ${CMAKE_COMMAND} -DSOURCE=${PROJECT_SOURCE_DIR} -DFILE=${program_commit}
                          -P ${PROJECT_SOURCE_DIR}/cmake/ProgramCommit.cmake VERBATIM)
function(srtrain_program_commit target)
  set_source_files_properties(${program_commit} TARGET_DIRECTORY ${target} PROPERTIES GENERATED TRUE)
  target_sources(${target} PRIVATE ${program_commit})
  add_dependencies(${target} program_commit)
endfunction()
