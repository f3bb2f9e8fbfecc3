# srtrain_options: what every target of the project is compiled with.
add_library(srtrain_options INTERFACE)
target_compile_features(srtrain_options INTERFACE c_std_17)
target_compile_definitions(srtrain_options INTERFACE _GNU_SOURCE)
target_include_directories(srtrain_options INTERFACE ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/src)
target_compile_options(srtrain_options INTERFACE
  -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wvla
  -fno-math-errno -fno-trapping-math)
target_link_libraries(srtrain_options INTERFACE OpenMP::OpenMP_C)
# clang warns where it keeps a loop scalar that the source marks for vectors: that is slower but right. And since clang 19 where a
# constant of an unnamed enumeration, which is how integers are named here, meets a floating-point number.
target_compile_options(srtrain_options INTERFACE $<$<C_COMPILER_ID:Clang>:-Wno-pass-failed;-Wno-enum-float-conversion>)
if(SRTRAIN_WARNINGS_AS_ERRORS)
  target_compile_options(srtrain_options INTERFACE -Werror)
endif()
if(SRTRAIN_SANITIZE)
  target_compile_options(srtrain_options INTERFACE -fsanitize=${SRTRAIN_SANITIZE} -fno-omit-frame-pointer)
  target_link_options(srtrain_options INTERFACE -fsanitize=${SRTRAIN_SANITIZE})
endif()
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_C_FLAGS_RELEASE "-O3 -g -DNDEBUG")
