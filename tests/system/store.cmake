if(TARGET peat_store)
  add_library(store_workload STATIC store_workload.cpp)
  target_link_libraries(store_workload PUBLIC peat_compile peat_store GTest::gtest)

  if("$ENV{PEAT_NIGHT}")
    set(kill_timeout 1200)
  else()
    set(kill_timeout 300)
  endif()
  peat_test(test_store_kill LABEL system TIMEOUT ${kill_timeout} SOURCES store_kill_test.cpp
    LIBS store_workload)
  peat_test(test_store_power_cut LABEL system TIMEOUT 300
    SOURCES store_power_cut_test.cpp disk_recorder.cpp LIBS store_workload)
  peat_test(test_store_disk_full LABEL system TIMEOUT 300
    SOURCES store_disk_full_test.cpp disk_recorder.cpp LIBS store_workload)
endif()
