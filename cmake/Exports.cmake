# The library that is installed: one object, whose names are local but for those that the public headers declare. Names that only
# srtrain's own files share cannot meet those of a program that links the library.
set(SRTRAIN_EXPORTED_LIBRARY ${CMAKE_BINARY_DIR}/exported/libsrtrain.a)
file(GLOB public_headers CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/include/srtrain/*.h)
add_custom_command(OUTPUT ${SRTRAIN_EXPORTED_LIBRARY}
  COMMAND ${CMAKE_COMMAND} -DHEADERS=${PROJECT_SOURCE_DIR}/include/srtrain -DLIBRARY=$<TARGET_FILE:srtrain_library>
          -DOUTPUT=${SRTRAIN_EXPORTED_LIBRARY} -DCOMPILER=${CMAKE_C_COMPILER} -DOBJCOPY=${CMAKE_OBJCOPY} -DAR=${CMAKE_AR}
          -P ${PROJECT_SOURCE_DIR}/cmake/ExportLibrary.cmake
  DEPENDS srtrain_library ${public_headers} ${PROJECT_SOURCE_DIR}/cmake/ExportLibrary.cmake VERBATIM)
add_custom_target(srtrain_exported ALL DEPENDS ${SRTRAIN_EXPORTED_LIBRARY})
